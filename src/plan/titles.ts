import { formatDuration } from '../base/duration.ts';
import { isJsonObject, type Json } from '../base/json.ts';
import type { Param } from '../task/params.ts';
import type { Task } from '../task/task.ts';
import { isLateValue } from './plan.ts';

/** Longer texts and lists are cut: a title is one line. */
const longestText = 80;
const longestList = 6;

/** Write what a step does with its values in one line: the first clause of the task's summary, then the values. */
export function titleOf(task: Task, values: Readonly<Record<string, Json>>): string {
  const clause = (task.summary.split(/[;:]/)[0] ?? task.summary).trim();
  const words = Object.entries(task.params).flatMap(([name, param]) => {
    const value = values[name];
    return value === undefined || value === null ? [] : [describeValue(name, param, value)];
  });
  // joined, not concatenated: a rope of strings would live as long as the plan
  return words.length === 0 ? clause : [clause, words.join(', ')].join(': ');
}

function describeValue(name: string, param: Param, value: Json): string {
  const label = name.replaceAll('_', ' ');
  if (isLateValue(value)) return `${label} known later`;
  if (param.kind === 'node' && isJsonObject(value)) return describeNode(name, value);
  if (param.kind === 'osd' && isJsonObject(value)) return `${value['name']} on ${value['node']}`;
  if (param.kind === 'osds') return describeOsds(value);
  if (param.kind === 'contact' && isJsonObject(value)) return `${label} ${value['contact']}`;
  if (param.kind === 'duration' && typeof value === 'number') return `${label} ${formatDuration(value)}`;
  if (param.kind === 'text') return JSON.stringify(cut(String(value)));
  if (Array.isArray(value)) return `${label} ${value.map(String).join(' ')}`;
  return `${label} ${typeof value === 'object' ? JSON.stringify(value) : value}`;
}

function describeNode(name: string, node: Readonly<Record<string, Json>>): string {
  const osds = describeOsds(node['osds'] ?? []);
  const place = `${node['name']}${osds === '' ? '' : ` (${osds})`}`;
  return name === 'node' ? place : `${name} ${node['name']}`;
}

function describeOsds(value: Json): string {
  if (!Array.isArray(value)) return '';
  const names = (value as readonly Json[]).flatMap((osd) => (isJsonObject(osd) ? [String(osd['name'])] : []));
  const rest = names.length - longestList;
  return rest <= 0 ? names.join(', ') : `${names.slice(0, longestList).join(', ')} and ${rest} more`;
}

function cut(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length <= longestText ? line : `${line.slice(0, longestText - 1)}…`;
}
