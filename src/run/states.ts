/**
 * List the states of a step with the byte that stands for each in the store.
 * DESIGN section 6 has the transitions; the model in model.ts is their reference.
 */
export const stepStates = {
  pending: 'p',
  ready: 'r',
  running: 'R',
  waiting: 'w',
  unknown: '?',
  succeeded: 's',
  failed: 'f',
  skipped: 'k',
  cancelled: 'c',
  undoing: 'U',
  undone: 'u',
  'undo-failed': 'x',
} as const;

/** Name the state of a step. */
export type StepState = keyof typeof stepStates;

/** List the states of a run. Ended: succeeded, aborted, undone, left-over. `failed` waits for a person, `planned` for locks. */
const runStates = [
  ...(['planned', 'running', 'paused', 'failed', 'aborting', 'undoing'] as const),
  ...(['succeeded', 'aborted', 'undone', 'left-over'] as const),
] as const;

/** Name the state of a run. */
export type RunState = (typeof runStates)[number];

const endedSteps: readonly StepState[] = [
  ...(['succeeded', 'skipped', 'cancelled'] as const),
  ...(['undoing', 'undone', 'undo-failed'] as const),
];
const endedRuns: readonly RunState[] = ['succeeded', 'aborted', 'undone', 'left-over'];

/** Tell whether nothing more happens to a step unless a person acts. `failed` is not ended: it waits to be retried or skipped. */
export function isEndedStep(state: StepState): boolean {
  return endedSteps.includes(state);
}

/** Tell whether a run is over. */
export function isEndedRun(state: RunState): boolean {
  return endedRuns.includes(state);
}

/** Read the state of a step from its byte in the store; undefined for a byte that is none. */
export function stepStateOf(byte: string): StepState | undefined {
  return (Object.keys(stepStates) as StepState[]).find((state) => stepStates[state] === byte);
}

/** List the names of all states that a run can have. */
export function runStateNames(): readonly RunState[] {
  return runStates;
}
