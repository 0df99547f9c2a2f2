import type { ErrorCode } from '../base/errors.ts';
import { isJsonObject, type Json } from '../base/json.ts';
import { didYouMean } from '../base/nearest.ts';
import type { OsdMap, OsdState } from '../task/ceph.ts';
import { type Param, readParam } from '../task/params.ts';
import type { NodeTarget, OsdTarget } from '../task/targets.ts';

/** What names in values are looked up in. */
export interface Surroundings {
  readonly map: OsdMap;
  /** Names of the contacts of the config. */
  readonly contacts: readonly string[];
}

/** Be a value as a task sees it, or why there is none. */
export type Resolved =
  | { readonly value: Json; readonly message?: undefined }
  | { readonly code: ErrorCode; readonly message: string };

/** A list of names longer than this is no help on one screen. */
const longestList = 12;

/** Read a value as its kind demands; names of nodes and OSDs become the identities that the cluster has now. */
export function resolveValue(param: Param, value: Json | undefined, where: Surroundings): Resolved {
  const named = value ?? param.default;
  const found = named === undefined ? undefined : resolveNames(param, named, where);
  if (found && found.message !== undefined) return found;
  const reading = readParam(param, found ? found.value : undefined);
  if ('expected' in reading) {
    const given = named === undefined ? 'it has no value' : `${describeJson(named)} is not allowed`;
    return { code: 'PARAM_INVALID', message: `${given}: expected ${reading.expected}` };
  }
  return param.kind === 'contact' ? checkContact(reading.value, where) : { value: reading.value };
}

/** Write a value for an error text. */
function describeJson(value: Json): string {
  return typeof value === 'string' ? `"${value}"` : JSON.stringify(value);
}

function resolveNames(param: Param, value: Json, { map }: Surroundings): Resolved {
  if (param.kind === 'node') {
    // An identity given from outside is looked up again: only what the map says now is frozen.
    const name = isJsonObject(value) ? value['name'] : value;
    return typeof name === 'string' ? resolveNode(map, name) : { value };
  }
  if (param.kind === 'osd') return resolveOsd(map, value);
  if (param.kind !== 'osds') return { value };
  const list = typeof value === 'string' ? value.split(',').map((one) => one.trim()) : value;
  if (!Array.isArray(list)) return { value };
  const targets: Json[] = [];
  for (const one of list as readonly Json[]) {
    const found = resolveOsd(map, one);
    if (found.message !== undefined) return found;
    targets.push(found.value);
  }
  return { value: targets };
}

function resolveNode(map: OsdMap, name: string): Resolved {
  const node = map.nodes.find((one) => one.name === name);
  if (!node) {
    const names = map.nodes.map((one) => one.name).toSorted();
    const list = names.length <= longestList ? ` It has ${names.join(', ')}.` : '';
    const message = `no host "${name}" is in the CRUSH map.${didYouMean(name, names)}${list}`;
    return { code: 'NODE_UNKNOWN', message };
  }
  const osds: OsdTarget[] = node.osdIds
    .toSorted((a, b) => a - b)
    .flatMap((id) => osdsOf(map).get(id) ?? [])
    .map((osd) => freezeOsd(osd, node.name));
  const target: NodeTarget = { name: node.name, osds, location: node.location };
  return { value: target };
}

function resolveOsd(map: OsdMap, value: Json): Resolved {
  const given = isJsonObject(value) ? value['id'] : value;
  if (typeof given !== 'string' && typeof given !== 'number') return { value };
  const id = Number(/^(?:osd\.)?(\d+)$/.exec(String(given))?.[1] ?? Number.NaN);
  const osd = osdsOf(map).get(id);
  if (!osd) {
    const names = map.osds.map((one) => `osd.${one.id}`);
    const list = names.length <= longestList ? ` It has ${names.join(', ')}.` : '';
    const message = `no OSD "${given}" is in the OSD map.${didYouMean(String(given), names)}${list}`;
    return { code: 'OSD_UNKNOWN', message };
  }
  if (isJsonObject(value) && value['uuid'] !== osd.uuid) {
    return { code: 'OSD_UNKNOWN', message: `osd.${osd.id} has uuid ${osd.uuid}, not ${value['uuid']}` };
  }
  if (osd.node === undefined) {
    return { code: 'OSD_UNKNOWN', message: `osd.${osd.id} stands under no host of the CRUSH map` };
  }
  return { value: freezeOsd(osd, osd.node) };
}

/** OSDs of each map by their ids: a plan about ten thousand of them looks each up in every step. */
const osdsByMap = new WeakMap<OsdMap, ReadonlyMap<number, OsdState>>();

function osdsOf(map: OsdMap): ReadonlyMap<number, OsdState> {
  const known = osdsByMap.get(map);
  if (known) return known;
  // of two with one id the first counts, as it does for who reads the list
  const osds = new Map(map.osds.toReversed().map((osd) => [osd.id, osd]));
  osdsByMap.set(map, osds);
  return osds;
}

function freezeOsd(osd: OsdState, node: string): OsdTarget {
  const { id, uuid, weight, deviceClass } = osd;
  const device = deviceClass === undefined ? {} : { device_class: deviceClass };
  return { id, name: `osd.${id}`, uuid, node, weight, ...device };
}

function checkContact(value: Json, { contacts }: Surroundings): Resolved {
  const name = (value as { readonly contact: string }).contact;
  if (contacts.includes(name)) return { value };
  const expected = contacts.length > 0 ? `expected one of ${contacts.join(', ')}` : 'it has no contacts';
  const message = `no contact "${name}" is in the config: ${expected}.${didYouMean(name, contacts)}`;
  return { code: 'PARAM_INVALID', message };
}
