#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What `make check` runs beyond `make test`: the sources, the sanitizers, the fuzzers, clang-tidy,
# coverage and mutants. Every step ends with one line; a failure does not keep the others from
# running, and the exit code is 1 then.
#
#   scripts/check.sh [STEP...]    all, or those named:
#       lint      layers, headers, sizes, licences, formats
#       asan      AddressSanitizer and UBSan: unit, fuzz corpora, operator, integration
#       torture   each HTTP call and each large allocation of the operator fails, and it dies at
#                 each call, under AddressSanitizer; make test does every ninth
#       tsan      ThreadSanitizer: the packages with threads, three files of integration
#       fuzz      each fuzzer over its corpus, and FUZZ_SECONDS (10) of its own inputs
#       tidy      clang-tidy over pkg and cmd (.clang-tidy)
#       coverage  build/coverage/report.txt and html/; what tests/coverage.txt lists must hold
#       mutate    scripts/mutate.py; what survives is explained in tests/mutants.txt
set -uo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$berth_root" || exit 1
build=${BERTH_CHECK_BUILD:-$berth_root/build}
jobs=${JOBS:-$(nproc)}
test_jobs=${TEST_JOBS:-$((jobs + 2))}
fuzz_seconds=${FUZZ_SECONDS:-10}
all=(lint asan torture tsan fuzz tidy coverage mutate)

# build NAME CMAKE-ARGUMENTS [TARGET...]: into $build/NAME
build() {
    local name=$1 arguments=$2
    shift 2
    BERTH_CMAKE_ARGS="$arguments" scripts/build.sh "$build/$name" "$jobs" "$@"
}

# Under a sanitizer everything is slower: the deadlines of the tests are longer (berth_test.wait).
tests() {
    local name=$1
    shift
    BERTH_TEST_SLOWNESS=4 ctest --test-dir "$build/$name" --output-on-failure "$@"
}

lint() {
    scripts/build.sh "$build" "$jobs" &&
        ctest --test-dir "$build" --output-on-failure -j "$jobs" -L '^checks$' &&
        scripts/format.sh --check
}

build_asan() {
    export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1
    export UBSAN_OPTIONS=print_stacktrace=1
    build asan '-DCMAKE_BUILD_TYPE=Debug -DBERTH_WERROR=ON -DBERTH_SANITIZE=address,undefined'
}

# test_scale counts calls of hundreds of objects: it says nothing more here, and takes minutes
asan() {
    build_asan &&
        tests asan -j "$test_jobs" -R '^(unit|fuzz|integration)/|^contract/test_operator' \
            -E 'integration/test_(scale|torture)'
}

torture() {
    build_asan &&
        BERTH_TORTURE_STEP=1 tests asan -j "$test_jobs" -R '^integration/test_torture'
}

tsan() {
    local units='^unit/(base|http|kube|aws|registry|ensure|reconcile|web|emulator)/'
    local files='^integration/test_(operator|drift|leader)$'
    export TSAN_OPTIONS=suppressions=$berth_root/tests/tsan.supp:second_deadlock_stack=1
    build tsan '-DCMAKE_BUILD_TYPE=Debug -DBERTH_WERROR=ON -DBERTH_SANITIZE=thread' &&
        tests tsan -j "$test_jobs" -R "$units|$files"
}

# What a run finds is not kept in the tree: the corpus is for what people chose.
fuzz() {
    local program what inputs=$build/fuzz/inputs failed=0
    build fuzz '-DCMAKE_C_COMPILER=clang -DBERTH_FUZZ=ON -DCMAKE_BUILD_TYPE=Debug
        -DBERTH_SANITIZE=address,undefined' fuzzers || return 1
    for program in "$build"/fuzz/tests/fuzz/fuzz_*; do
        [ -x "$program" ] || continue
        what=${program##*/fuzz_}
        mkdir -p "$inputs/$what"
        "$program" -runs=0 -verbosity=0 "tests/fuzz/corpus/$what" > "$inputs/$what.log" 2>&1 &&
            "$program" -max_total_time="$fuzz_seconds" -timeout=5 -print_final_stats=1 \
                -artifact_prefix="$inputs/$what-" "$inputs/$what" "tests/fuzz/corpus/$what" \
                >> "$inputs/$what.log" 2>&1 || {
            failed=1
            tail -50 "$inputs/$what.log"
        }
        printf '%-12s %s inputs tried\n' "$what" \
            "$(sed -n 's/^stat::number_of_executed_units: *//p' "$inputs/$what.log")"
    done
    return $failed
}

tidy() {
    local run
    run=$(compgen -c run-clang-tidy | sort -V | tail -1)
    [ -n "$run" ] || die 'run-clang-tidy is missing: apt-get install clang-tidy'
    cmake -S . -B "$build/tidy" -G Ninja -DCMAKE_C_COMPILER=clang -DBERTH_TESTS=OFF \
        > "$build/tidy.log" || return 1
    "$run" -quiet -j "$jobs" -p "$build/tidy" "^$berth_root/(pkg|cmd)/" > "$build/tidy/report.txt" \
        2> "$build/tidy.log" && ! grep -q 'warning:' "$build/tidy/report.txt" && return 0
    grep -A3 -E '(warning|error):' "$build/tidy/report.txt" | head -200
    tail -3 "$build/tidy.log"
    return 1
}

coverage() {
    build coverage '-DCMAKE_BUILD_TYPE=Debug -DBERTH_COVERAGE=ON' &&
        find "$build/coverage" -name '*.gcda' -delete &&
        tests coverage -j "$test_jobs" -R '^(unit|fuzz)/' &&
        scripts/coverage.py "$build/coverage"
}

mutate() {
    cmake -S . -B "$build/mutate" -G Ninja -DCMAKE_BUILD_TYPE=Debug \
        -DBERTH_SANITIZE=address,undefined > "$build/mutate.log" &&
        scripts/mutate.py "$build/mutate"
}

steps=("${@:-${all[@]}}")
[ $# -gt 0 ] || steps=("${all[@]}")
for step in "${steps[@]}"; do
    [[ " ${all[*]} " == *" $step "* ]] || die "no such step: $step (there are: ${all[*]})"
done
mkdir -p "$build"
results=()
failed=0
for step in "${steps[@]}"; do
    printf '\n== check: %s\n' "$step"
    began=$SECONDS outcome=passed
    ("$step") || { outcome=FAILED failed=1; }
    results+=("$(printf 'check %-10s %s (%d s)' "$step" "$outcome" $((SECONDS - began)))")
    printf '%s\n' "${results[-1]}"
done
printf '\n== check, in short\n'
printf '%s\n' "${results[@]}"
exit $failed
