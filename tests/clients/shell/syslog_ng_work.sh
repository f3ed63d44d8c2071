# syslog_ng_work.sh URL FOLDER: syslog-ng sends lines by elasticsearch-http() of its configuration library. TAP.
url=$1 folder=$2 port=${1##*:}
cat > "$folder/syslog-ng.conf" <<EOF
@version: 3.38
@include "scl.conf"
source s { file("$folder/lines" follow-freq(1) flags(no-parse) read-old-records(yes)); };
destination d { elasticsearch-http(url("$url/_bulk") index("ng-\${YEAR}") type("") batch-lines(50) batch-timeout(500) template("\$(format-json --scope rfc5424 --key MESSAGE)")); };
log { source(s); destination(d); };
EOF
for i in $(seq 200); do echo "line $i with \"quotes\""; done > "$folder/lines"
/usr/sbin/syslog-ng -F --no-caps -f "$folder/syslog-ng.conf" -R "$folder/persist" -p "$folder/pid" -c "$folder/control" > "$folder/said" 2>&1 &
daemon=$!
for i in $(seq 120); do
    curl -s -XPOST "$url/ng-*/_refresh" > /dev/null
    n=$(curl -s "$url/ng-*/_count?q=MESSAGE:line" | sed -n 's/.*"count":\([0-9]*\).*/\1/p')
    [ "$n" = 200 ] && break
    read -rt 0.25 < /dev/tcp/127.0.0.1/"$port" || true
done
kill $daemon; wait $daemon
[ "$n" = 200 ] && echo "ok 1 - every line is found" || echo "not ok 1 - every line is found: $n; $(tail -c 600 "$folder/said" | tr '\n' ' ')"
echo 1..1
