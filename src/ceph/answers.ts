import { z } from 'zod';
import { CephflowError, type CommandTrace } from '../base/errors.ts';

/** What is seen of an answer that could not be read: enough to recognise it, little enough for one screen. */
const sampleLength = 300;

/**
 * Narrow a JSON answer of a Ceph program. Ceph may begin it with an empty line.
 * @throws CEPH_ANSWER_UNREADABLE with where it differs from what was expected, and a sample
 */
export function readAnswer<T>(schema: z.ZodType<T>, stdout: string, command: CommandTrace): T {
  const fail = (what: string, cause: unknown) => {
    const text = stdout.trim();
    const sample = text.length > sampleLength ? `${text.slice(0, sampleLength)}…` : text;
    return new CephflowError('CEPH_ANSWER_UNREADABLE', `${what}; it begins: ${sample || '(nothing)'}`, {
      command,
      hint: 'please report it with the output of `ceph versions`',
      cause,
    });
  };
  let json: unknown;
  try {
    json = JSON.parse(stdout);
  } catch (thrown) {
    throw fail('the answer is no JSON', thrown);
  }
  const read = schema.safeParse(json);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  const where = issue?.path.join('.') || 'the whole';
  throw fail(
    `the answer has an unknown shape at ${where}: ${issue?.message ?? 'not as expected'}`,
    read.error,
  );
}

const id = z.number().int();

/** `osd dump` */
export const osdDumpAnswer = z.object({
  epoch: id,
  fsid: z.string(),
  flags_set: z.array(z.string()),
  backfillfull_ratio: z.number(),
  osds: z.array(
    z.object({
      osd: id,
      uuid: z.string(),
      up: z.number(),
      in: z.number(),
      weight: z.number(),
      state: z.array(z.string()),
    }),
  ),
  pools: z.array(
    z.object({
      pool: id,
      pool_name: z.string(),
      /** 1: replicated, 3: erasure coded. */
      type: z.number(),
      size: z.number(),
      min_size: z.number(),
      crush_rule: z.number(),
      pg_num: z.number(),
      erasure_code_profile: z.string().optional(),
    }),
  ),
  erasure_code_profiles: z.record(z.string(), z.record(z.string(), z.string())).optional(),
});

const treeItem = z.object({
  id,
  name: z.string(),
  type: z.string(),
  crush_weight: z.number().optional(),
  reweight: z.number().optional(),
  device_class: z.string().optional(),
  children: z.array(id).optional(),
});

/** `osd tree` */
export const osdTreeAnswer = z.object({ nodes: z.array(treeItem), stray: z.array(treeItem) });

/** `status` */
export const statusAnswer = z.object({
  fsid: z.string(),
  osdmap: z.object({
    epoch: id,
    num_osds: z.number(),
    num_up_osds: z.number(),
    num_in_osds: z.number(),
    num_remapped_pgs: z.number(),
  }),
  // keys that count something are absent when there is nothing to count
  pgmap: z.object({
    pgs_by_state: z.array(z.object({ state_name: z.string(), count: z.number() })),
    num_pgs: z.number(),
    num_objects: z.number().default(0),
    misplaced_objects: z.number().default(0),
    degraded_objects: z.number().default(0),
    recovering_bytes_per_sec: z.number().default(0),
  }),
  mgrmap: z.object({ available: z.boolean() }),
});

const severity = z.enum(['HEALTH_OK', 'HEALTH_WARN', 'HEALTH_ERR']);

/** `health detail` */
export const healthAnswer = z.object({
  status: severity,
  checks: z.record(
    z.string(),
    z.object({
      severity: z.enum(['HEALTH_WARN', 'HEALTH_ERR']),
      summary: z.object({ message: z.string() }),
      detail: z.array(z.object({ message: z.string() })).default([]),
      muted: z.boolean().default(false),
    }),
  ),
});

/** Shapes in which PG statistics come: bare, under `pg_stats`, or that under `pg_map`. */
function pgStats<T extends z.ZodType>(pg: T) {
  const bare = z.array(pg);
  const named = z.object({ pg_stats: bare }).transform((answer) => answer.pg_stats);
  const nested = z.object({ pg_map: named }).transform((answer) => answer.pg_map);
  return z.union([named, nested, bare]);
}

/** `pg dump pgs_brief` */
export const pgBriefAnswer = pgStats(
  z.object({ pgid: z.string(), state: z.string(), up: z.array(id), acting: z.array(id) }),
);

/** `pg dump pgs` */
export const pgSizesAnswer = pgStats(
  z.object({ pgid: z.string(), acting: z.array(id), stat_sum: z.object({ num_bytes: z.number() }) }),
);

/** `osd df` */
export const osdDfAnswer = z.object({
  nodes: z.array(z.object({ id, kb: z.number(), kb_used: z.number(), pgs: z.number().default(0) })),
});

/** `mon metadata`, `mgr metadata`, `mds metadata`: a daemon that never reported has no hostname. */
export const daemonsAnswer = z.array(z.object({ name: z.string(), hostname: z.string().optional() }));

/** `service dump`: beside the daemons of a kind stands one entry `summary`, a text. */
export const servicesAnswer = z.object({
  services: z.record(
    z.string(),
    z.object({
      daemons: z.record(
        z.string(),
        z.union([
          z.string(),
          z.object({
            metadata: z.object({ hostname: z.string().optional(), id: z.string().optional() }).default({}),
          }),
        ]),
      ),
    }),
  ),
});

/** `osd safe-to-destroy` */
export const safeToDestroyAnswer = z.object({
  safe_to_destroy: z.array(id),
  active: z.array(id),
  missing_stats: z.array(id),
  stored_pgs: z.array(id),
});

/** `osd ok-to-stop`: lists that are empty are absent. */
export const okToStopAnswer = z.object({
  ok_to_stop: z.boolean(),
  bad_become_inactive: z.array(z.string()).default([]),
  ok_become_more_degraded: z.array(z.string()).default([]),
});

/** `osd crush rule dump` */
export const crushRulesAnswer = z.array(
  z.object({
    rule_id: id,
    steps: z.array(
      z.object({
        op: z.string(),
        num: z.number().optional(),
        type: z.string().optional(),
        item_name: z.string().optional(),
      }),
    ),
  }),
);

/** `ceph-volume inventory` */
export const inventoryAnswer = z.array(
  z.object({
    path: z.string(),
    available: z.boolean(),
    rejected_reasons: z.array(z.string()),
    device_id: z.string().optional(),
    sys_api: z.object({
      size: z.number().optional(),
      rotational: z.union([z.string(), z.number()]).optional(),
      serial: z.string().optional(),
    }),
  }),
);

/** `ceph-volume lvm list`: by OSD id, one entry for each of its volumes. */
export const lvmListAnswer = z.record(
  z.string(),
  z.array(
    z.object({
      type: z.string(),
      devices: z.array(z.string()).default([]),
      path: z.string(),
      tags: z.object({ 'ceph.osd_fsid': z.string() }),
    }),
  ),
);
