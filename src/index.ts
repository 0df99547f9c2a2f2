export { formatBytes } from './base/bytes.ts';
export { formatDuration } from './base/duration.ts';
export { CephflowError } from './base/errors.ts';
export type { Json, JsonObject } from './base/json.ts';
export {
  type Canvas,
  type ChainCanvas,
  chain,
  chord,
  type GroupCanvas,
  type GroupOptions,
  group,
  type StepCanvas,
  type StepOptions,
  step,
} from './plan/canvas.ts';
export {
  type BuiltPlaybook,
  type CodePlaybook,
  isCodePlaybook,
  type PlaybookDefinition,
  playbook,
} from './plan/code.ts';
export type { PlanLock } from './plan/plan.ts';
export { type PreviousValue, previous } from './plan/previous.ts';
export type * from './task/ceph.ts';
export type * from './task/context.ts';
export { downtimeKey } from './task/downtime.ts';
export { drainOutlook, movementStops, otherDaemons } from './task/feasibility.ts';
export { healthBlockers, placementBlockers, unreportedPgs } from './task/health.ts';
export { findOsd, isSameWeight, requireOsd } from './task/identity.ts';
export {
  boolean,
  choice,
  contact,
  devices,
  duration,
  hostname,
  integer,
  json,
  node,
  number,
  osd,
  osds,
  type Param,
  type Params,
  text,
  type ValuesOf,
} from './task/params.ts';
export type * from './task/targets.ts';
export {
  type Answer,
  type Hold,
  isTask,
  type Outlook,
  type Progress,
  type Risk,
  type Task,
  type TaskDefinition,
  task,
} from './task/task.ts';
