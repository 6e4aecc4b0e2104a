# Warnings, hardening and instrumentation, on one interface target that every target of ours links.
add_library(berth_flags INTERFACE)
target_compile_options(berth_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes
  -Wold-style-definition -Wmissing-prototypes -Wwrite-strings -Wcast-qual -Wpointer-arith -Wvla
  -Wundef -Wformat=2 -Wnull-dereference -Wimplicit-fallthrough -Wdouble-promotion
  -Wframe-larger-than=32768)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  target_compile_options(berth_flags INTERFACE -Wduplicated-cond -Wduplicated-branches -Wlogical-op
    -Wcast-align=strict -Wformat-overflow=2 -Walloc-zero -Wtrampolines)
else()
  # statement expressions and ranges are the GNU extensions we use on purpose
  target_compile_options(berth_flags INTERFACE -Wcomma -Wextra-semi-stmt -Wassign-enum
    -Wconditional-uninitialized -Wmissing-variable-declarations -Wunreachable-code
    -Wno-gnu-statement-expression -Wno-gnu-zero-variadic-macro-arguments)
endif()
if(BERTH_WERROR)
  target_compile_options(berth_flags INTERFACE -Werror)
endif()

target_compile_options(berth_flags INTERFACE -fno-common -fvisibility=hidden
  -fstack-protector-strong -fstack-clash-protection -ftrivial-auto-var-init=pattern
  "SHELL:-include \"${PROJECT_SOURCE_DIR}/include/base/banned.h\"")
target_compile_definitions(berth_flags INTERFACE _GNU_SOURCE)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  target_compile_options(berth_flags INTERFACE -fcf-protection=full)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  target_compile_options(berth_flags INTERFACE -mbranch-protection=standard)
endif()
target_link_options(berth_flags INTERFACE -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code
  -Wl,--as-needed)
if(BERTH_SANITIZE)
  target_compile_options(berth_flags INTERFACE -fsanitize=${BERTH_SANITIZE}
    -fno-sanitize-recover=all)
  target_link_options(berth_flags INTERFACE -fsanitize=${BERTH_SANITIZE})
elseif(NOT BERTH_COVERAGE)
  target_compile_options(berth_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
endif()
if(BERTH_COVERAGE)
  # atomic: threads that count the same line lose counts, and gcov shows negative ones
  target_compile_options(berth_flags INTERFACE --coverage -O0 -fprofile-update=atomic)
  target_link_options(berth_flags INTERFACE --coverage)
endif()
