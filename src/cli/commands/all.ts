import type { AddCommand } from '../context.ts';
import { addAgent } from './agent.ts';
import { addControl } from './control.ts';
import { addRunControl } from './control-run.ts';
import { addDoctor } from './doctor.ts';
import { addFollowing } from './follow-run.ts';
import { addFreeze } from './freeze.ts';
import { addInstance } from './instance.ts';
import { addLibrary } from './library.ts';
import { addLint } from './lint.ts';
import { addLock } from './lock.ts';
import { addRuns } from './runs.ts';
import { addShow } from './show.ts';
import { addStarting } from './start.ts';
import { addWorker } from './worker.ts';

/** List what adds the commands, in the order of the help. */
export const allCommands: readonly AddCommand[] = [
  addStarting,
  addRuns,
  addShow,
  addFollowing,
  addControl,
  addFreeze,
  addInstance,
  addRunControl,
  addLock,
  addLint,
  addLibrary,
  addDoctor,
  addWorker,
  addAgent,
];
