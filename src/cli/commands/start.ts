import type { Command } from 'commander';
import {
  type AddCommand,
  type Context,
  collect,
  needOptions,
  outputOption,
  type Start,
  withExample,
} from '../context.ts';
import { readParamOptions, readPayload, showPlan, startRun } from '../start-run.ts';

interface Shortcut {
  readonly name: string;
  readonly playbook: string;
  readonly about: string;
  readonly flags: readonly Flag[];
  readonly example: string;
  /** Parameters that an option of another name stands for: `add --node X` is what the fingers type. */
  readonly aliases?: Readonly<Record<string, string>>;
}

/** An option that stands for the parameter of the same name (`--new-node` for `new_node`). */
interface Flag {
  readonly flag: string;
  readonly about: string;
  readonly isNeeded?: boolean;
}

const devicesFlag = { flag: '--devices <list>', about: 'all, or device paths separated by commas' };

/** The everyday sentences: each is `run PLAYBOOK` with the parameters as options, and nothing more. */
const shortcuts: readonly Shortcut[] = [
  {
    name: 'replace',
    playbook: 'replace-node',
    about: 'drain a node, have its hardware replaced, bring the new one in',
    example: 'cephflow replace --node ceph-osd-07',
    flags: [
      { flag: '--node <name>', about: 'node to replace, as CRUSH names it', isNeeded: true },
      { flag: '--new-node <name>', about: 'host name of the new one, where it differs' },
      devicesFlag,
    ],
  },
  {
    name: 'decommission',
    playbook: 'decommission-node',
    about: 'drain a node and remove it for good',
    example: 'cephflow decommission --node ceph-osd-07 --wait',
    flags: [{ flag: '--node <name>', about: 'node to remove, as CRUSH names it', isNeeded: true }],
  },
  {
    name: 'add',
    playbook: 'add-node',
    about: 'bring a new node in',
    example: 'cephflow add --name ceph-osd-19 --beside ceph-osd-07 --devices /dev/sdb,/dev/sdc',
    flags: [
      { flag: '--name, --node <name>', about: 'host name of the new node', isNeeded: true },
      { flag: '--beside <node>', about: 'node whose place in CRUSH it shares', isNeeded: true },
      devicesFlag,
      { flag: '--osds <count>', about: 'OSDs that it must get at least' },
    ],
    aliases: { node: 'name' },
  },
];

/** Add `replace`, `decommission`, `add`, `run` and `plan`. */
export const addStarting: AddCommand = (program, start) => {
  for (const shortcut of shortcuts) addShortcut(program, start, shortcut);
  const run = program
    .command('run')
    .description('carry out a playbook')
    .argument('<playbook>', 'name of a playbook, or path of its file');
  startOptions(run).action((playbook: string, options: StartFlags, command: Command) =>
    start(command, (context) => begin(context, playbook, options)),
  );
  withExample(run, 'cephflow run replace-node --param node=ceph-osd-07 --confirm ceph-osd-07 --detach');
  const plan = program
    .command('plan')
    .description('show what a playbook will do, step by step; nothing is changed')
    .argument('<playbook>', 'name of a playbook, path of its file, or replace, decommission, add')
    .addOption(outputOption());
  paramOption(plan);
  withExample(plan, 'cephflow plan replace --node ceph-osd-07');
  for (const { flag, about } of distinctFlags()) plan.option(flag, about);
  plan.action((name: string, options: StartFlags, command: Command) => {
    const shortcut = shortcuts.find((one) => one.name === name);
    return start(command, (context) =>
      showPlan(context, {
        playbook: shortcut?.playbook ?? name,
        params: readParamOptions(options.param, flagValues(options, shortcut)),
      }),
    );
  });
};

interface StartFlags {
  readonly param: readonly string[];
  readonly confirm?: string;
  readonly reason?: string;
  readonly payload?: string;
  readonly dryRun?: boolean;
  readonly detach?: boolean;
  readonly wait?: boolean;
}

function addShortcut(program: Command, start: Start, shortcut: Shortcut): void {
  const { name, playbook, about, flags } = shortcut;
  const command = program.command(name).description(`${about} (playbook ${playbook})`);
  for (const { flag, about: what, isNeeded } of flags)
    command.option(flag, isNeeded ? `${what} (needed)` : what);
  withExample(command, shortcut.example);
  startOptions(command).action((options: StartFlags, self: Command) =>
    start(self, (context) => {
      needOptions(
        self,
        flags.filter((flag) => flag.isNeeded).map((flag) => attributeOf(flag.flag)),
      );
      return begin(context, shortcut, options);
    }),
  );
}

/** Every flag of every shortcut once, for `plan`, which takes them all. */
function distinctFlags(): readonly Flag[] {
  const all = shortcuts
    .flatMap((one) => one.flags)
    .map((flag) => ({ ...flag, flag: flag.flag.replace(', --node', '') }));
  return [...new Map(all.map((flag) => [flag.flag, flag] as const)).values()];
}

function paramOption(command: Command): Command {
  return command.option(
    '--param <name=value>',
    'value of a parameter; may be given several times',
    collect,
    [],
  );
}

function startOptions(command: Command): Command {
  return paramOption(command)
    .option('--confirm <name>', 'what the plan is about, typed; instead of being asked')
    .option('--dry-run', 'show the plan and end; nothing is changed')
    .option('--detach', 'do not follow the run')
    .option(
      '--wait',
      'where another run holds what this one locks, begin when it is free; else it is refused',
    )
    .option('--reason <text>', 'what the record says besides your name')
    .option('--payload <json>', 'kept with the run, for hooks and `show -o json`; at most 4 KiB')
    .addOption(outputOption());
}

/** The values of the options that stand for parameters, by the parameter's name. */
function flagValues(options: StartFlags, shortcut: Shortcut | undefined): Readonly<Record<string, string>> {
  const given = options as unknown as Readonly<Record<string, string | undefined>>;
  const entries = distinctFlags().flatMap(({ flag }) => {
    const value = given[attributeOf(flag)];
    const param = nameOf(flag).replaceAll('-', '_');
    return value === undefined ? [] : [[shortcut?.aliases?.[param] ?? param, value] as const];
  });
  return Object.fromEntries(entries);
}

function begin(context: Context, what: Shortcut | string, options: StartFlags): Promise<number> {
  const shortcut = typeof what === 'string' ? undefined : what;
  const playbook = typeof what === 'string' ? what : what.playbook;
  const params = readParamOptions(options.param, flagValues(options, shortcut));
  const wanted = { playbook, params, ...readPayload(options.payload) };
  if (options.dryRun) return showPlan(context, wanted);
  return startRun(context, wanted, {
    confirm: options.confirm,
    reason: options.reason,
    isDetached: options.detach ?? false,
    waits: options.wait ?? false,
  });
}

/** The last long name of a flag: `node` of `--name, --node <name>`. */
const nameOf = (flag: string) => flag.replace(/^.*--([a-z-]+) .*$/, '$1');

/** The name under which commander keeps an option. */
const attributeOf = (flag: string) =>
  nameOf(flag).replaceAll(/-(.)/g, (_all, letter: string) => letter.toUpperCase());
