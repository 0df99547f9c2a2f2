/**
 * Write a list of whole numbers from 0 on, in its order, as evenly spaced runs: `0-9,12,20-28/2`. Members of a group that
 * have one shape stand evenly spaced in the plan, so that ten thousand of them take a few characters.
 */
export function writeRanges(numbers: readonly number[]): string {
  const runs: string[] = [];
  for (let from = 0; from < numbers.length; ) {
    const end = endOfRun(numbers, from);
    runs.push(writeRun(numbers, from, end));
    from = end + 1;
  }
  return runs.join(',');
}

/** Read what `writeRanges` wrote. */
export function readRanges(text: string): readonly number[] {
  return text.split(',').flatMap((run) => {
    const [, from, to, by] = /^(\d+)(?:-(\d+))?(?:\/(\d+))?$/.exec(run) ?? [];
    if (from === undefined) return [];
    const first = Number(from);
    const spacing = Number(by ?? 1);
    const count = to === undefined ? 1 : Math.floor((Number(to) - first) / spacing) + 1;
    return Array.from({ length: count }, (_, index) => first + index * spacing);
  });
}

/** Two numbers are no run yet: they are shorter as they are, unless they follow one another. */
function endOfRun(numbers: readonly number[], from: number): number {
  const spacing = (numbers[from + 1] ?? 0) - (numbers[from] ?? 0);
  if (spacing < 1) return from;
  let end = from + 1;
  while (end + 1 < numbers.length && (numbers[end + 1] ?? 0) - (numbers[end] ?? 0) === spacing) end += 1;
  return end - from >= 2 || spacing === 1 ? end : from;
}

function writeRun(numbers: readonly number[], from: number, end: number): string {
  const first = numbers[from] ?? 0;
  if (end === from) return String(first);
  const spacing = (numbers[from + 1] ?? 0) - first;
  return `${first}-${numbers[end]}${spacing === 1 ? '' : `/${spacing}`}`;
}
