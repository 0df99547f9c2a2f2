import { afterAll, beforeAll } from 'vitest';
import type { Silence } from '../lab/alertmanager.ts';
import { type Lab, startLab } from '../lab/lab.ts';
import type { LabOptions } from '../lab/lab-types.ts';
import { type Operator, operator } from './operator.ts';

/** What a story happens at: a real cluster with objects in it, and an operator at a terminal. */
export interface Place {
  readonly lab: Lab;
  readonly ada: Operator;
}

/** A run as `show -o json` tells it, as far as stories look. */
export interface Shown {
  readonly run: string;
  readonly state: string;
  readonly steps: readonly {
    readonly id: string;
    readonly state: string;
    readonly waiting?: { readonly reason: string; readonly question?: string };
  }[];
}

/** An OSD as `osd dump` tells it, as far as stories look. */
export interface DumpedOsd {
  readonly osd: number;
  readonly uuid: string;
  readonly up: number;
}

interface Arrival extends LabOptions {
  readonly objects: { readonly count: number; readonly sizeBytes: number };
  /** Done when the lab is up, before the operator sits down. */
  prepare?(lab: Lab): Promise<void>;
}

/** Bringing a lab up takes ten seconds; the rest is for a loaded machine. */
const arrivalMs = 120_000;

/** Have a lab and an operator for the tests of a file; both are gone after the last of them. */
export function atTheLab({ objects, prepare, ...options }: Arrival): Place {
  const place: { lab?: Lab; ada?: Operator } = {};
  beforeAll(async () => {
    place.lab = await startLab(options);
    await place.lab.loadObjects({ ...objects, seed: 'before' });
    await prepare?.(place.lab);
    place.ada = await operator(place.lab.configFile);
  }, arrivalMs);
  afterAll(async () => {
    await place.ada?.leave();
    await place.lab?.stop();
  });
  return place as Place;
}

/** The latest run, as an operator sees it. */
export const showLatest = ({ ada }: Place): Promise<Shown> => ada.json<Shown>('show', '@latest');

/** Silences that are in force now. */
export async function openSilences({ lab }: Place): Promise<readonly Silence[]> {
  return (await lab.silences()).filter((one) => one.status.state === 'active');
}

/** Ids of the OSDs that were purged, in order, from the monitor's log: not from our own records. */
export async function purgedOsds({ lab }: Place): Promise<readonly number[]> {
  const purges = (await lab.audit()).filter(({ prefix }) => prefix === 'osd purge-actual');
  return purges.map(({ words }) => Number(words['id']));
}

/** All OSDs of the map. */
export async function dumpedOsds({ lab }: Place): Promise<readonly DumpedOsd[]> {
  return (await lab.cephJson<{ osds: readonly DumpedOsd[] }>('osd', 'dump')).osds;
}
