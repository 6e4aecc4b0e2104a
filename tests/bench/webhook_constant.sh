#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The webhook's HTTPS server beside nginx: both answer every POST with a constant, over TLS
# keep-alive; ours through a worker, nginx in its one worker process.
#
#   tests/bench/webhook_constant.sh BUILD [rounds] [seconds] [workers] [inline bytes]
#
# BUILD is a build directory. Needs wrk, nginx (nginx-light) and openssl. Prints for each round the
# requests a second of both, the CPU time that one took, and the ratio; then the median ratio, the
# median time of a review of 1 MB, and the resident memory after 64 connections. On a machine that
# others use, the CPU times say more than the ratio. Writes below a temporary directory, listens on
# loopback.
set -euo pipefail

build=${1:?a build directory}
rounds=${2:-5}
seconds=${3:-3}
workers=${4:-2}
inline=${5:-0}

for tool in wrk nginx openssl; do
    command -v "$tool" >/dev/null || { echo "$tool is missing: apt-get install wrk nginx-light" \
        "openssl" >&2; exit 1; }
done
cmake --build "$build" --target bench_webhook_constant >/dev/null 2>&1

dir=$(mktemp -d)
nginx_pid=
ours_pid=
stop() {
    [ -z "$nginx_pid" ] || kill "$nginx_pid" 2>/dev/null || true
    exec 9>&- || true
    [ -z "$ours_pid" ] || wait "$ours_pid" 2>/dev/null || true
    rm -rf "$dir"
}
trap stop EXIT

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
    -subj /CN=localhost -addext subjectAltName=DNS:localhost \
    -keyout "$dir/key.pem" -out "$dir/cert.pem" 2>/dev/null

post() { # bytes: a script for wrk
    printf 'wrk.method = "POST"\nwrk.body = "{\\"a\\":\\"" .. string.rep("x", %d) .. "\\"}"\n' \
        "$(($1 - 8))"
    # shellcheck disable=SC2016
    printf 'wrk.headers["Content-Type"] = "application/json"\n'
}
post 5000 >"$dir/small.lua"
post 1000000 >"$dir/big.lua"

free_port() {
    python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}
port=$(free_port)
answer='{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":'
answer+='"705ab4f5-6393-11e8-b7cc-42010a800002","allowed":true}}'
cat >"$dir/nginx.conf" <<NGINX
worker_processes 1;
daemon off;
pid $dir/nginx.pid;
error_log $dir/error.log;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path $dir/body;
    proxy_temp_path $dir/proxy;
    fastcgi_temp_path $dir/fastcgi;
    uwsgi_temp_path $dir/uwsgi;
    scgi_temp_path $dir/scgi;
    keepalive_requests 100000000;
    client_max_body_size 7m;
    server {
        listen 127.0.0.1:$port ssl;
        ssl_certificate $dir/cert.pem;
        ssl_certificate_key $dir/key.pem;
        ssl_protocols TLSv1.2 TLSv1.3;
        default_type application/json;
        location / {
            return 200 '$answer';
        }
    }
}
NGINX
nginx -c "$dir/nginx.conf" -p "$dir" 2>"$dir/nginx.log" &
nginx_pid=$!

mkfifo "$dir/stdin"
"$build/bin/bench_webhook_constant" "$dir/cert.pem" "$dir/key.pem" "$workers" "$inline" \
    <"$dir/stdin" >"$dir/ours" &
ours_pid=$!
exec 9>"$dir/stdin"
for _ in $(seq 100); do
    [ ! -s "$dir/ours" ] || break
    read -r -t 0.05 _ <> <(:) || true
done
ours=$(head -n 1 "$dir/ours")

cpu_ms() { # process
    awk -v hz="$(getconf CLK_TCK)" '{print int(($14 + $15) * 1000 / hz)}' "/proc/$1/stat"
}

rate() { # address process script connections: requests a second, and microseconds of CPU for each
    local before
    before=$(cpu_ms "$2")
    wrk -t1 -c"$4" -d"${seconds}s" -s "$dir/$3.lua" "https://$1/validate" >"$dir/wrk" 2>&1
    if grep -q -e 'Non-2xx' -e 'Socket errors' "$dir/wrk"; then
        cat "$dir/wrk" >&2
        exit 1
    fi
    awk -v cpu_ms="$(($(cpu_ms "$2") - before))" '/^Requests\/sec/ {rate = $2}
        / requests in / {n = $1} END {print rate, cpu_ms * 1000 / n}' "$dir/wrk"
}

nginx_worker=$(pgrep -P "$nginx_pid")
ratios=()
for i in $(seq "$rounds"); do
    read -r theirs their_us <<<"$(rate "127.0.0.1:$port" "$nginx_worker" small 8)"
    read -r mine my_us <<<"$(rate "$ours" "$ours_pid" small 8)"
    ratio=$(awk -v a="$mine" -v b="$theirs" 'BEGIN {printf "%.3f", a / b}')
    ratios+=("$ratio")
    echo "round $i: nginx $theirs/s ($their_us us of CPU each)," \
        "berth $mine/s ($my_us us), ratio $ratio"
done
echo "median ratio: $(printf '%s\n' "${ratios[@]}" | sort -n | sed -n "$(((rounds + 1) / 2))p")"

wrk -t1 -c1 -d"${seconds}s" --latency -s "$dir/big.lua" "https://$ours/validate" >"$dir/wrk"
echo "1 MB, one connection: p50 $(awk '/ 50%/ {print $2}' "$dir/wrk")," \
    "p99 $(awk '/ 99%/ {print $2}' "$dir/wrk")"

rate "$ours" "$ours_pid" small 64 >/dev/null
echo "after 64 connections: $(awk '/^VmRSS/ {print $2 / 1024 " MiB resident"}
    /^VmHWM/ {print $2 / 1024 " MiB at most"}' "/proc/$ours_pid/status" | paste -sd, -)"
exec 9>&-
wait "$ours_pid" || true
ours_pid=
sed -n 2p "$dir/ours"
