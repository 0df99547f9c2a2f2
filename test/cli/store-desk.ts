import { afterAll, beforeAll } from 'vitest';
import type { Plan } from '../../src/plan/plan.ts';
import { planOf, type StepSketch } from '../engine/plans.ts';
import { type PrivateRedis, startRedis } from '../engine/private-redis.ts';
import { openRig, type Rig } from '../engine/store-rig.ts';
import { type Desk, openDesk } from './built.ts';
import { freePort } from './free-port.ts';

/** What a command about a run has said. Runs, machines and moments are written as RUN, HERE and TIME. */
interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly said: readonly string[];
}

/** A place to type at, whose config names a Redis of the test; no worker works on it but the test itself. */
export interface StoreDesk {
  readonly rig: Rig;
  readonly desk: Desk;
  /** Path of the config. */
  readonly config: string;
  start(steps: readonly StepSketch[], more?: Partial<Plan>, waits?: true): Promise<string>;
  /** Type a command about a run, as `user`, who is ada unless said otherwise. */
  type(run: string, words: readonly string[], user?: string): Promise<Said>;
  /** Let a step ask a person, as a worker does. */
  ask(run: string, step: number): Promise<void>;
  /** Carry a step out, as a worker does. */
  act(run: string, step: number): Promise<void>;
  /** What was recorded last: `pause by ada@HERE: switch reboot`. */
  lastAct(run: string): Promise<string>;
}

/** Characters of a run's id that people see. */
export const short = (run: string) => run.slice(-4);

/** Have a desk and a Redis for the tests of a file. `more`: what stands in the config besides, in the folder given. */
export function storeDesk(more: (dir: string) => string = () => 'clusters: { lab: {} }\n'): StoreDesk {
  const held: { server?: PrivateRedis; rig?: Rig; desk?: Desk; config?: string } = {};
  beforeAll(async () => {
    const port = await freePort();
    held.server = await startRedis(['--port', String(port), '--bind', '127.0.0.1']);
    held.rig = await openRig(held.server, 1000, 'cephflow');
    held.desk = openDesk();
    const redis = `redis: { url: "redis://127.0.0.1:${port}/0" }`;
    held.config = held.desk.write('config.yaml', `${redis}\n${more(held.desk.dir)}`);
  });
  afterAll(async () => {
    held.desk?.leave();
    await held.rig?.store.close();
    await held.server?.stop();
  });
  const rig = () => held.rig as Rig;
  return {
    get rig() {
      return rig();
    },
    get desk() {
      return held.desk as Desk;
    },
    get config() {
      return held.config ?? '';
    },
    start: (steps, about, waits) =>
      rig().store.createRun(planOf(steps, about), { by: 'ann@adm1', ...(waits && { waits }) }),
    type: async (run, words, user = 'ada') => {
      const line = ['--config', held.config ?? '', ...words];
      const { code, stdout, stderr } = await (held.desk as Desk).type(line, { USER: user });
      return { code, stdout: steady(run, stdout), said: steady(run, stderr).split('\n') };
    },
    ask: async (run, step) => {
      const waiting = { reason: 'a person', question: 'Is it in?' };
      await rig().store.park(await rig().claim(run, step), { untilMs: null, waiting });
    },
    act: async (run, step) => {
      const grant = await rig().claim(run, step);
      await rig().store.acting(grant);
      await rig().store.complete(grant, { state: 'succeeded', acted: true });
    },
    lastAct: async (run) => {
      const { act, by, reason = '' } = (await rig().store.audit(run)).at(-1) ?? { act: '', by: '' };
      return `${act} by ${by.replace(machine, '@HERE')}: ${reason}`;
    },
  };
}

const machine = /@[\w.-]+/g;

const steady = (run: string, text: string) =>
  text
    .replaceAll(run, 'RUN')
    .replaceAll(short(run), 'RUN')
    .replaceAll(machine, '@HERE')
    .replaceAll(' --config DESK/config.yaml', '')
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:]+Z/g, 'TIME');
