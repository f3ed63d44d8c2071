# rsyslog_work.sh URL FOLDER: rsyslogd sends lines through omelasticsearch, by bulk requests with templates of its own. TAP.
url=$1 folder=$2 port=${1##*:}
cat > "$folder/rsyslog.conf" <<EOF
global(workDirectory="$folder")
module(load="imfile")
module(load="omelasticsearch")
template(name="day" type="string" string="syslog-%\$year%.%\$month%.%\$day%")
template(name="line" type="list") {
    constant(value="{\"@timestamp\":\"") property(name="timereported" dateFormat="rfc3339")
    constant(value="\",\"host\":\"") property(name="hostname") constant(value="\",\"tag\":\"") property(name="syslogtag" format="json")
    constant(value="\",\"message\":\"") property(name="msg" format="json") constant(value="\"}")
}
input(type="imfile" file="$folder/lines" tag="app:" readMode="0")
action(type="omelasticsearch" server="127.0.0.1" serverport="$port" searchIndex="day" dynSearchIndex="on" searchType="" template="line" bulkmode="on" errorFile="$folder/errors")
EOF
for i in $(seq 200); do echo "line $i with \"quotes\" and ü"; done > "$folder/lines"
/usr/sbin/rsyslogd -n -i "$folder/pid" -f "$folder/rsyslog.conf" > "$folder/said" 2>&1 &
daemon=$!
for i in $(seq 120); do
    curl -s -XPOST "$url/syslog-*/_refresh" > /dev/null
    n=$(curl -s "$url/syslog-*/_count?q=message:line" | sed -n 's/.*"count":\([0-9]*\).*/\1/p')
    [ "$n" = 200 ] && break
    read -rt 0.25 < /dev/tcp/127.0.0.1/"$port" || true
done
kill $daemon; wait $daemon
[ "$n" = 200 ] && echo "ok 1 - every line is found" || echo "not ok 1 - every line is found: $n; $(head -c 600 "$folder/errors" "$folder/said" 2>/dev/null | tr '\n' ' ')"
[ ! -s "$folder/errors" ] && echo "ok 2 - no line failed" || echo "not ok 2 - no line failed"
echo 1..2
