import type { z } from 'zod';
import { CephflowError } from '../base/errors.ts';
import type { Ceph, CephReads, Health, OkToStop, SafeToDestroy, Service } from '../task/ceph.ts';
import { requireOsd } from '../task/identity.ts';
import type { CrushLocation, OsdTarget } from '../task/targets.ts';
import {
  daemonsAnswer,
  healthAnswer,
  okToStopAnswer,
  osdDfAnswer,
  pgBriefAnswer,
  safeToDestroyAnswer,
  servicesAnswer,
  statusAnswer,
} from './answers.ts';
import { type CephClient, type CephOptions, createClient } from './client.ts';
import { readRawMap, toOsdMap } from './osd-map.ts';
import { projectRemoval } from './what-if.ts';

/** errno values that Ceph's commands end with. */
const EAGAIN = 11;
const EBUSY = 16;

/**
 * Talk to a cluster through the `ceph` command.
 * An act that names an OSD first verifies that its id still belongs to the planned uuid and host.
 * @throws CEPH_UNREACHABLE, CEPH_MGR_DOWN, CEPH_NOT_PERMITTED, CEPH_ANSWER_UNREADABLE, NOT_CONFIGURED; changes also
 *   CEPH_REFUSED, OSD_IDENTITY, PARAM_INVALID; and what the shell throws (all from the methods)
 */
export function createCeph(options: CephOptions): Ceph {
  const client = createClient(options);
  const osdMap = async () => toOsdMap(await readRawMap(client));
  const verify = async (osd: OsdTarget) => requireOsd(await osdMap(), osd);
  return {
    ...createReads(client, osdMap),
    async reweight(osd, weight) {
      const written = writeWeight(weight);
      await verify(osd);
      await client.tell(['osd', 'crush', 'reweight', `osd.${osd.id}`, written], 'mon');
    },
    async purge(osd) {
      await verify(osd);
      // never --yes-i-really-mean-it: it is --force and switches Ceph's own check off (DaemonServer.cc)
      await client.tell(['osd', 'purge', `osd.${osd.id}`], 'mgr');
    },
    async removeNode(node) {
      await client.tell(['osd', 'crush', 'rm', crushName(node.name)], 'mon');
    },
    placeNode: (name, location) => placeNode(client, name, location),
  };
}

function createReads(client: CephClient, osdMap: CephReads['osdMap']): CephReads {
  return {
    osdMap,
    async health() {
      return toHealth(await client.ask({ words: ['health', 'detail'], via: 'mon', schema: healthAnswer }));
    },
    async status() {
      return toStatus(await client.ask({ words: ['status'], via: 'mon', schema: statusAnswer }));
    },
    async placementGroups() {
      const words = ['pg', 'dump', 'pgs_brief'];
      const pgs = await client.ask({ words, via: 'mgr', schema: pgBriefAnswer });
      return pgs.map(({ pgid, state, up, acting }) => ({ id: pgid, state, up, acting }));
    },
    async usage() {
      const { nodes } = await client.ask({ words: ['osd', 'df'], via: 'mgr', schema: osdDfAnswer });
      return nodes.map(({ id, kb, kb_used, pgs }) => ({
        id,
        sizeBytes: kb * 1024,
        usedBytes: kb_used * 1024,
        pgCount: pgs,
      }));
    },
    services: () => readServices(client),
    safeToDestroy: (osds) => askSafeToDestroy(client, osds),
    okToStop: (osds) => askOkToStop(client, osds),
    projectRemoval: (osds) => projectRemoval(client, osds),
  };
}

function toHealth({ status, checks }: z.infer<typeof healthAnswer>): Health {
  return {
    status,
    checks: Object.entries(checks).map(([code, check]) => ({
      code,
      severity: check.severity,
      summary: check.summary.message,
      subjects: check.detail.map((line) => line.message),
      isMuted: check.muted,
    })),
  };
}

function toStatus({ osdmap, pgmap, mgrmap }: z.infer<typeof statusAnswer>) {
  return {
    epoch: osdmap.epoch,
    isMgrAvailable: mgrmap.available,
    osdCount: osdmap.num_osds,
    upOsdCount: osdmap.num_up_osds,
    inOsdCount: osdmap.num_in_osds,
    remappedPgs: osdmap.num_remapped_pgs,
    pgCount: pgmap.num_pgs,
    pgStates: Object.fromEntries(pgmap.pgs_by_state.map((one) => [one.state_name, one.count])),
    objectCount: pgmap.num_objects,
    misplacedObjects: pgmap.misplaced_objects,
    degradedObjects: pgmap.degraded_objects,
    recoveringBytesPerSecond: pgmap.recovering_bytes_per_sec,
  };
}

async function readServices(client: CephClient): Promise<readonly Service[]> {
  const found: Service[] = [];
  for (const kind of ['mon', 'mgr', 'mds'] as const) {
    const daemons = await client.ask({ words: [kind, 'metadata'], via: 'mon', schema: daemonsAnswer });
    found.push(...daemons.map(({ name, hostname }) => ({ kind, name, node: hostname })));
  }
  const { services } = await client.ask({ words: ['service', 'dump'], via: 'mon', schema: servicesAnswer });
  for (const [name, daemon] of Object.entries(services['rgw']?.daemons ?? {})) {
    if (typeof daemon === 'string') continue;
    const { id = name, hostname } = daemon.metadata; // the key became a number in Ceph 16
    found.push({ kind: 'rgw', name: id, node: hostname });
  }
  return found;
}

/** A command about no OSD would be one about all, or none; both would read as an answer. */
function idsOf(osds: readonly OsdTarget[]): string[] {
  if (osds.length === 0) throw new CephflowError('INTERNAL', 'a question about a set of OSDs named none');
  return osds.map((osd) => String(osd.id));
}

/** With -f json the exit code is 0 also where it is not safe (16.2); while PGs are unknown there is no JSON, and 11. */
async function askSafeToDestroy(client: CephClient, osds: readonly OsdTarget[]): Promise<SafeToDestroy> {
  const words = ['osd', 'safe-to-destroy', ...idsOf(osds)];
  const ids = osds.map((osd) => osd.id);
  const result = await client.query({ words, via: 'mgr', allow: [EAGAIN, EBUSY] });
  if (result.exitCode !== 0 && result.stdout.trim() === '') return { safe: [], hasPgs: [], unknown: ids };
  const answer = client.read(safeToDestroyAnswer, words, result);
  const hasPgs = ids.filter((id) => answer.active.includes(id) || answer.stored_pgs.includes(id));
  const unknown = ids.filter((id) => !hasPgs.includes(id) && answer.missing_stats.includes(id));
  const safe = ids.filter(
    (id) => answer.safe_to_destroy.includes(id) && ![...hasPgs, ...unknown].includes(id),
  );
  return { safe, hasPgs, unknown };
}

/** Both answers are JSON: 0 yes, 16 no. While PGs are unknown there is none, and 11. */
async function askOkToStop(client: CephClient, osds: readonly OsdTarget[]): Promise<OkToStop> {
  const words = ['osd', 'ok-to-stop', ...idsOf(osds)];
  const result = await client.query({ words, via: 'mgr', allow: [EAGAIN, EBUSY] });
  if (result.exitCode === EAGAIN && result.stdout.trim() === '') {
    return { isOk: false, wouldBecomeInactive: [], wouldBecomeMoreDegraded: [] };
  }
  const answer = client.read(okToStopAnswer, words, result);
  return {
    isOk: answer.ok_to_stop && result.exitCode === 0,
    wouldBecomeInactive: answer.bad_become_inactive,
    wouldBecomeMoreDegraded: answer.ok_become_more_degraded,
  };
}

/** Digits after the point that CRUSH's 16.16 fixed point can tell apart. */
const weightDigits = 6;

function writeWeight(weight: number): string {
  if (!(Number.isFinite(weight) && weight >= 0)) {
    throw new CephflowError('PARAM_INVALID', `a CRUSH weight must be a number of at least 0, not ${weight}`);
  }
  return String(Number(weight.toFixed(weightDigits)));
}

/** What CRUSH allows as a name (CrushWrapper::is_valid_crush_name), without a leading minus, which is an option. */
const crushNamePattern = /^[A-Za-z0-9_.][A-Za-z0-9_.-]*$/;

function crushName(name: string): string {
  if (crushNamePattern.test(name)) return name;
  throw new CephflowError('PARAM_INVALID', `"${name}" cannot be a name in the CRUSH map`, {
    hint: 'letters, digits, _ . and - are allowed, and no - in front',
  });
}

/** Both commands end with 0 when repeated. */
async function placeNode(client: CephClient, name: string, location: CrushLocation): Promise<void> {
  const host = crushName(name);
  const place = location.map(({ type, name: bucket }) => `${crushName(type)}=${crushName(bucket)}`);
  await client.tell(['osd', 'crush', 'add-bucket', host, 'host'], 'mon');
  if (place.length > 0) await client.tell(['osd', 'crush', 'move', host, ...place], 'mon');
}
