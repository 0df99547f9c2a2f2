/** What a lab's ceph.conf is written from. Paths are absolute. */
export interface ConfFacts {
  readonly dir: string;
  readonly fsid: string;
  readonly monAddress: string;
}

/**
 * Write ceph.conf. It holds what makes a lab fast (research: bdev_aio_poll_ms alone saves 4 s an OSD) and what makes it
 * honest (a PG log so short that real backfill happens). Nothing that a test may want to change at run time is in here,
 * because the file beats `ceph config set`; those go in by `ceph config set`: `recoverySettings`.
 */
function cephConf(facts: ConfFacts): string {
  const { dir, fsid, monAddress } = facts;
  return `[global]
fsid = ${fsid}
mon_host = [v2:${monAddress}:3300,v1:${monAddress}:6789]
mon_initial_members = lab
mgr_initial_modules = iostat
auth_allow_insecure_global_id_reclaim = false
log_file = ${dir}/log/$cluster-$name.log
log_to_stderr = false
err_to_stderr = true
osd_pool_default_pg_autoscale_mode = off
osd_heartbeat_interval = 1
osd_heartbeat_grace = 5
bdev_aio_poll_ms = 10
[mon]
mon_data = ${dir}/mon
keyring = ${dir}/mon/keyring
pid_file = ${dir}/run/mon.pid
admin_socket = ${dir}/run/mon.asok
public_addr = ${monAddress}
mon_cluster_log_file = ${dir}/log/cluster.log
mon_cluster_log_file_level = debug
mon_cluster_log_to_file = true
paxos_propose_interval = 0.05
mon_tick_interval = 1
mon_mgr_digest_period = 1
mon_data_avail_warn = 3
mon_data_avail_crit = 1
mon_warn_on_pool_no_redundancy = false
mon_warn_on_slow_ping_time = 10000
mon_allow_pool_delete = true
[mgr]
mgr_data = ${dir}/mgr
keyring = ${dir}/mgr/keyring
pid_file = ${dir}/run/mgr.pid
admin_socket = ${dir}/run/mgr.asok
mgr_module_path = ${dir}/mgr-modules
public_addr = ${monAddress}
mgr_stats_period = 1
[osd]
pid_file = /run/ceph/osd.$id.pid
admin_socket = /run/ceph/osd.$id.asok
osd_mon_report_interval = 1
osd_min_pg_log_entries = 2
osd_max_pg_log_entries = 4
osd_pg_log_trim_min = 1
osd_pg_log_dups_tracked = 0
`;
}

/** Complete ceph.conf with what only clients outside of the nodes need: where the admin's key is. */
export function clientConf(facts: ConfFacts): string {
  return `${cephConf(facts)}[client.admin]\nkeyring = ${facts.dir}/admin.keyring\n[client.readonly]\nkeyring = ${facts.dir}/readonly.keyring\n`;
}

/** Complete ceph.conf with what differs on one node: the OSDs' address and, in a lab with racks, the node's rack. */
export function nodeConf(
  facts: ConfFacts,
  name: string,
  node: { address: string; rack?: string | undefined },
): string {
  const place =
    node.rack === undefined ? '' : `crush_location = root=default rack=${node.rack} host=${name}\n`;
  return `${cephConf(facts)}public_addr = ${node.address}\ncluster_addr = ${node.address}\n${place}`;
}

/** Settings of the speed of recovery: a sleep per operation; 0 is as fast as it goes. */
export function recoverySettings(sleepSeconds: number): string[] {
  return [
    'osd_recovery_sleep',
    'osd_recovery_sleep_hdd',
    'osd_recovery_sleep_ssd',
    'osd_recovery_sleep_hybrid',
  ].map((name) => `config set osd ${name} ${sleepSeconds}`);
}
