#!/bin/sh
# The health check of a node in a container: it runs, and all nodes belong to its cluster. (Not: all of them run.
# One that fails must not make the others seem to.)
#
# Compose restarts no unhealthy container, so the check also ends its own node, which `restart:` then starts anew:
# when a member of a quorum queue has been down on it for a minute, although most nodes run and it has no alarm.
# So it is after its disk was full to the last byte. Each end in a row makes the next one wait twice as long.
#
#     healthcheck.sh NODES       so many nodes make the cluster
set -eu

nodes=$1
node=${RABBITMQ_NODENAME:-rabbit@$(hostname)}
since=${TMPDIR:-/tmp}/rollcall-down-since
patience=${TMPDIR:-/tmp}/rollcall-patience

# Of a list in a JSON object that names only nodes: how many there are.
count() {
    printf '%s' "$status" | tr -d ' \n' | sed -n "s/.*\"$1\":\[\([^]]*\)\].*/\1/p" | tr ',' '\n' | grep -c '@' || true
}

# It is not known how long it has been so, or nothing would be won.
unsure() {
    rm -f "$since"
    exit 1
}

# What is asked never stands before a pipe, which would hide that it failed.
status=$(rabbitmqctl -q cluster_status --formatter json) || unsure
[ "$(count disk_nodes)" -eq "$nodes" ] || unsure
queues=$(rabbitmqctl -q list_queues --no-table-headers name type members online) || unsure

down=$(printf '%s\n' "$queues" |
    awk -F '\t' -v node="$node" '
        function holds(list) { return index(" " spaced(list) " ", " " node " ") }
        function spaced(list) { gsub(/[][,"]/, " ", list); return list }
        $2 == "quorum" && holds($3) && !holds($4) { print $1 }')

if [ -z "$down" ]; then
    rm -f "$since" "$patience"
    exit 0
fi
echo "down on $node:" $down
if [ $((2 * $(count running_nodes))) -le "$nodes" ] || ! rabbitmq-diagnostics -q check_local_alarms; then
    unsure
fi
now=$(date +%s)
[ -s "$since" ] || echo "$now" >"$since"
wait=$(cat "$patience" 2>/dev/null || echo 60)
if [ $((now - $(cat "$since"))) -ge "$wait" ]; then
    echo $((wait < 900 ? wait * 2 : 1800)) >"$patience"
    rm -f "$since"
    echo "ending $node, to be started anew"
    rabbitmqctl -q stop
fi
exit 1
