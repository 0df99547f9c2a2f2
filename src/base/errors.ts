/**
 * What may be tried after a failure: `retry` on the step's own backoff, `pause` to ask a person before anything else,
 * `stop` when the same attempt would fail the same way.
 */
export type Disposition = 'retry' | 'pause' | 'stop';

interface CodeFacts {
  /** Exit code of a command that ends with this error (sysexits where one fits). */
  readonly exit: number;
  readonly disposition: Disposition;
  /** One sentence for the documentation. */
  readonly about: string;
}

/** List every error code with its exit code, disposition and meaning. A test compares it with docs/errors.md. */
export const errorCodes = {
  USAGE: {
    exit: 64,
    disposition: 'stop',
    about: 'The command line has a word, option or value that does not exist.',
  },
  PARAM_INVALID: {
    exit: 64,
    disposition: 'stop',
    about: 'A parameter has a value that its kind does not allow.',
  },
  NODE_UNKNOWN: { exit: 64, disposition: 'stop', about: 'No host of that name is in the CRUSH map.' },
  OSD_UNKNOWN: { exit: 64, disposition: 'stop', about: 'No OSD of that name is in the OSD map.' },
  CLUSTER_UNKNOWN: { exit: 64, disposition: 'stop', about: 'The config has no cluster of that name.' },
  PLAYBOOK_UNKNOWN: { exit: 64, disposition: 'stop', about: 'No playbook of that name was found.' },
  RUN_UNKNOWN: { exit: 64, disposition: 'stop', about: 'No run, or more than one, has that id or prefix.' },
  STEP_UNKNOWN: { exit: 64, disposition: 'stop', about: 'The run has no step of that name.' },
  CONTROL_REFUSED: {
    exit: 4,
    disposition: 'stop',
    about: 'The run or step is not in a state that allows this act.',
  },
  APPROVER_REQUIRED: {
    exit: 77,
    disposition: 'stop',
    about: 'The playbook names who may decide about the step, and it is somebody else.',
  },
  PLAYBOOK_INVALID: {
    exit: 78,
    disposition: 'stop',
    about: 'A playbook has mistakes; all of them are listed.',
  },
  EXPRESSION_FAILED: {
    exit: 78,
    disposition: 'stop',
    about: 'An expression of a playbook could not be evaluated.',
  },
  EXPANSION_INVALID: {
    exit: 4,
    disposition: 'stop',
    about: 'What a step returned cannot be expanded: it is no list, too long, or its values do not fit.',
  },
  TASK_INVALID: { exit: 78, disposition: 'stop', about: 'A task file does not hold what a task must.' },
  TASK_MISSING: {
    exit: 78,
    disposition: 'pause',
    about: 'This installation does not have the task file that the plan pinned.',
  },
  CONFIG_INVALID: {
    exit: 78,
    disposition: 'stop',
    about: 'The config file has mistakes; all of them are listed.',
  },
  CONFIG_MISSING: { exit: 78, disposition: 'stop', about: 'There is no config file where one was named.' },
  NOT_CONFIGURED: {
    exit: 78,
    disposition: 'stop',
    about: 'A task needs a part of the config that is absent.',
  },
  PROGRAM_MISSING: { exit: 78, disposition: 'stop', about: 'A program that is needed is not on PATH.' },
  REDIS_UNREACHABLE: { exit: 69, disposition: 'retry', about: 'Redis does not answer.' },
  REDIS_UNSUITABLE: {
    exit: 78,
    disposition: 'stop',
    about: 'Redis answers, but is configured so that records could be lost.',
  },
  STORE_VERSION: {
    exit: 78,
    disposition: 'stop',
    about: 'The store was written by another version of cephflow.',
  },
  CEPH_UNREACHABLE: { exit: 69, disposition: 'retry', about: 'The monitors do not answer.' },
  CEPH_MGR_DOWN: {
    exit: 69,
    disposition: 'retry',
    about: 'No manager daemon is active, so statistics are stale and commands hang.',
  },
  CEPH_NOT_PERMITTED: {
    exit: 77,
    disposition: 'stop',
    about: 'The cephx key is refused or lacks a capability.',
  },
  CEPH_REFUSED: { exit: 1, disposition: 'stop', about: 'Ceph refused a command.' },
  CEPH_ANSWER_UNREADABLE: {
    exit: 69,
    disposition: 'stop',
    about: 'Ceph answered something that cephflow does not know how to read.',
  },
  CLUSTER_MISMATCH: {
    exit: 4,
    disposition: 'stop',
    about: 'The cluster reached is not the one that the plan was made for.',
  },
  CLUSTER_TAKEN: {
    exit: 75,
    disposition: 'stop',
    about: 'Another instance of cephflow acts on the cluster, by the record in it.',
  },
  OSD_IDENTITY: {
    exit: 4,
    disposition: 'stop',
    about: 'An OSD is missing, or its id now belongs to another one.',
  },
  SSH_UNREACHABLE: { exit: 69, disposition: 'retry', about: 'A node does not answer on its ssh port.' },
  SSH_REFUSED: { exit: 77, disposition: 'stop', about: 'A node refused the ssh key.' },
  SSH_HOST_KEY: { exit: 77, disposition: 'stop', about: 'A host key is unknown or has changed.' },
  COMMAND_FAILED: { exit: 1, disposition: 'stop', about: 'A command ended with a code that says failure.' },
  COMMAND_TIMED_OUT: {
    exit: 69,
    disposition: 'retry',
    about: 'A command did not end within its time limit and was killed.',
  },
  COMMAND_ABORTED: {
    exit: 1,
    disposition: 'retry',
    about: 'A command was ended because its worker lost the step or is stopping.',
  },
  NOT_READ_ONLY: {
    exit: 70,
    disposition: 'stop',
    about: 'A question that may only read tried to change something: a defect in a task.',
  },
  NOTIFICATION_FAILED: { exit: 69, disposition: 'retry', about: 'A mail or webhook was not accepted.' },
  MONITORING_FAILED: {
    exit: 69,
    disposition: 'retry',
    about: 'The monitoring system did not accept a downtime.',
  },
  NODE_UNSUITABLE: {
    exit: 4,
    disposition: 'pause',
    about: 'A node does not have what the step needs, such as enough free devices.',
  },
  PLAN_REFUSED: {
    exit: 4,
    disposition: 'stop',
    about: 'The plan would endanger data or cannot be fulfilled; every reason is listed.',
  },
  DECLINED: { exit: 3, disposition: 'stop', about: 'The operator did not confirm.' },
  REJECTED: { exit: 3, disposition: 'stop', about: 'A person rejected what a step asked for.' },
  STEP_TIMED_OUT: { exit: 1, disposition: 'pause', about: 'A step did not finish within its time limit.' },
  RUN_FAILED: { exit: 1, disposition: 'stop', about: 'A step failed; the run waits for a person.' },
  RUN_ABORTED: { exit: 6, disposition: 'stop', about: 'The run was aborted by an operator.' },
  RUN_LEFT_OVER: {
    exit: 1,
    disposition: 'stop',
    about: 'The run ended, but something it holds could not be given back.',
  },
  MARKED_FAILED: { exit: 1, disposition: 'stop', about: 'A person has marked a step as failed.' },
  UNDO_REFUSED: {
    exit: 4,
    disposition: 'stop',
    about: 'A run cannot be taken back: a step that has acted has no way back.',
  },
  RUN_UNDONE: { exit: 6, disposition: 'stop', about: 'The run was taken back by an operator.' },
  LOCK_HELD: {
    exit: 75,
    disposition: 'retry',
    about: 'Another run, or a command that still runs on a node, holds what this one needs.',
  },
  RUN_DAMAGED: {
    exit: 70,
    disposition: 'stop',
    about: 'The records of a run contradict one another; `cephflow doctor --repair` mends what it can.',
  },
  INTERNAL: { exit: 70, disposition: 'stop', about: 'A defect in cephflow.' },
} as const satisfies Record<string, CodeFacts>;

/** Name one of the documented error codes. */
export type ErrorCode = keyof typeof errorCodes;

/** Describe a command that failed: where it ran, its words, how it ended, the end of what it said. */
export interface CommandTrace {
  readonly host: string;
  readonly words: readonly string[];
  readonly exitCode?: number;
  /** Last lines of stderr, secrets already masked. */
  readonly stderr?: string;
}

interface ErrorExtras {
  readonly hint?: string;
  readonly command?: CommandTrace;
  readonly cause?: unknown;
  readonly disposition?: Disposition;
}

/**
 * Report that something did not happen, with a code for machines and sentences for people.
 * `message`: what failed and why. `hint`: what to do. `command`: what ran, where, how it ended.
 */
export class CephflowError extends Error {
  readonly code: ErrorCode;
  readonly disposition: Disposition;
  readonly hint: string | undefined;
  readonly command: CommandTrace | undefined;

  constructor(code: ErrorCode, message: string, extras: ErrorExtras = {}) {
    super(message, extras.cause === undefined ? undefined : { cause: extras.cause });
    this.name = 'CephflowError';
    this.code = code;
    this.disposition = extras.disposition ?? errorCodes[code].disposition;
    this.hint = extras.hint;
    this.command = extras.command;
  }

  /** Give the exit code of a command that ends with this error. */
  get exitCode(): number {
    return errorCodes[this.code].exit;
  }
}

/** Turn whatever was thrown into a CephflowError; unknown things become INTERNAL with their cause kept. */
export function asCephflowError(thrown: unknown): CephflowError {
  if (thrown instanceof CephflowError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new CephflowError('INTERNAL', message, {
    cause: thrown,
    hint: 'this is a defect in cephflow: please report it with the output of the same command and -v',
  });
}

/** Lines of stderr that an error carries: enough for a Python trace of ceph, little enough for one screen. */
const stderrLines = 20;

/** Keep the last lines of what a command said, for an error's text. */
export function lastLines(text: string, count: number = stderrLines): string {
  return text.trimEnd().split('\n').slice(-count).join('\n');
}

/** Write an error as people read it: what and why; then command, host, exit code and stderr; then what to do. */
export function describeError(error: CephflowError): string {
  const lines = [`${error.code}  ${error.message}`];
  if (error.command) {
    const { host, words, exitCode, stderr } = error.command;
    const ended = exitCode === undefined ? '' : `  (exit ${exitCode})`;
    lines.push(`  on ${host}: ${words.join(' ')}${ended}`);
    if (stderr) lines.push(...stderr.split('\n').map((line) => `    ${line}`));
  }
  if (error.hint) lines.push(`  ${error.hint}`);
  return lines.join('\n');
}
