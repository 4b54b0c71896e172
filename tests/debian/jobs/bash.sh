declare -A squares
for i in 1 2 3 4 5; do squares[$i]=$((i * i)); done
for k in 1 3 5; do printf '%s:%s ' "$k" "${squares[$k]}"; done; echo
f() { local x=$1; ((x < 2)) && { echo 1; return; }; echo $((x * $(f $((x - 1))))); }
echo "10! = $(f 10)"
echo hello | { read -r w; echo "${w^^} ${w:1:3} ${#w}"; }
(exit 3); echo "status $?"
sleep 0.1 & wait $!; echo "waited $?"
trap 'echo trapped' USR1; kill -USR1 $$; echo after
mapfile -t lines < <(seq 1 5); echo "${lines[@]}"
echo $((0x7fffffff * 2)) lower | tr a-z A-Z
diff <(seq 1 4) <(seq 2 5); echo "diff $?"
[[ abc123 =~ ([a-z]+)([0-9]+) ]] && echo "${BASH_REMATCH[2]}"
