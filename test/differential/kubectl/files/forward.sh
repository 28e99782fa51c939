# forward.sh TARGET LOCAL:REMOTE [URL]: forwards a port, asks for a page through it once kubectl says that it listens, and
# shows both.
kubectl port-forward "$1" "$2" >forward.out 2>forward.err &
pid=$!
for i in $(seq 200); do
  grep -q Forwarding forward.out && break
  kill -0 $pid 2>/dev/null || break
  sleep 0.1
done
if grep -q Forwarding forward.out; then
  curl -s -m 5 -o page "http://127.0.0.1:${2%%:*}/" && cat page || echo "curl ends with $?"
  sleep 0.5
fi
kill $pid 2>/dev/null
{ wait $pid; } 2>/dev/null
sort forward.out
cat forward.err >&2
