#!/usr/bin/env bash
# A Slurm cluster of one node, this machine, for the integration tests. Needs root and Debian's
# packages slurm-wlm and munge.
#   tests/integration/slurm.sh start FOLDER    then: export SLURM_CONF=FOLDER/slurm.conf
#   tests/integration/slurm.sh stop FOLDER
# Key, state and logs lie in FOLDER, which must be on a path that any user may enter.
set -euo pipefail
folder=$(realpath -m "$2")

configure() {
    cat >"$folder/slurm.conf" <<END
ClusterName=test
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
SchedulerParameters=sched_interval=1,batch_sched_delay=0
JobRequeue=1
MinJobAge=300
KillWait=10
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
SlurmctldPort=16817
SlurmdPort=16818
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$(nproc --all) RealMemory=$(($(awk '/MemTotal/ {print $2}' /proc/meminfo) / 1024 - 512)) State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
}

start() {
    mkdir -p "$folder"/{munge,state,spool}
    head -c 1024 /dev/urandom >"$folder/munge/key"
    chown -R munge: "$folder/munge"
    chmod 400 "$folder/munge/key"
    # Munge and its clients insist on a socket that everybody can reach.
    chmod 755 "$folder" "$folder/munge"
    su -s /bin/sh munge -c "munged --force --socket='$folder/munge/socket' \
        --key-file='$folder/munge/key' --pid-file='$folder/munge/pid' \
        --log-file='$folder/munge/log' --seed-file='$folder/munge/seed'"
    configure
    export SLURM_CONF=$folder/slurm.conf
    slurmctld
    slurmd
    for _ in $(seq 60); do
        if sinfo --noheader --states=idle 2>/dev/null | grep -q idle; then exit 0; fi
        sleep 1
    done
    echo "the node did not become idle:" >&2
    tail -n 5 "$folder"/slurm*.log >&2
    exit 1
}

stop() {
    for pid in slurmd.pid slurmctld.pid munge/pid; do
        if [[ ! -e $folder/$pid ]]; then continue; fi
        number=$(cat "$folder/$pid")
        kill "$number" || true
        # Whoever removes the folder next must not find it being written to.
        for _ in $(seq 100); do kill -0 "$number" 2>/dev/null && sleep 0.1 || break; done
    done
}

"$1"
