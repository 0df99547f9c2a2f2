import type { Actor } from '../../engine/store.ts';
import { type AddCommand, outputOption } from '../context.ts';
import { examine } from '../examine.ts';
import type { Finding } from '../finding.ts';
import type { Wire } from '../parts.ts';
import { toJson } from '../table.ts';
import { wrapSentence } from '../text.ts';

/** Add `doctor`. JSON: a list of `{ name, level, text, fix }`; level: ok, warn or FAIL. Ends with the first failure's code. */
export const addDoctor: AddCommand = (program, start) => {
  program
    .command('doctor')
    .description('look at everything cephflow needs, and at the records of its runs')
    .option('--repair', 'mend records that contradict one another; no step is ended or begun by hand')
    .option('--reason <text>', 'what the record of a repair says besides your name')
    .addOption(outputOption())
    .action((options: RepairOptions, command) =>
      start(command, async ({ globals, io, wire }) => {
        const findings: Finding[] = [];
        for await (const finding of examine(wire, repairBy(wire, options))) {
          findings.push(finding);
          if (globals.output === 'text') io.data(describe(finding, io.dataWidth));
        }
        if (globals.output === 'json')
          io.data(toJson(findings.map(({ exitCode: _code, ...shown }) => shown)));
        return findings.find((one) => one.level === 'FAIL')?.exitCode ?? 0;
      }),
    );
};

interface RepairOptions {
  readonly repair?: boolean;
  readonly reason?: string;
}

function repairBy(wire: Wire, { repair, reason }: RepairOptions): Actor | undefined {
  if (!repair) return undefined;
  return { by: wire.by(), ...(reason !== undefined && { reason }) };
}

function describe({ name, level, text, fix }: Finding, width: number | undefined): string {
  const nameWidth = width === undefined ? 22 : 15;
  const indent = ' '.repeat(nameWidth + 8);
  const [first = '', ...more] = text.split('\n');
  return [
    wrapSentence(`${level.padEnd(4)}  ${name.padEnd(nameWidth)}  ${first}`, width, indent),
    ...more.map((line) => wrapSentence(`${indent}${line}`, width, indent)),
    ...(fix === undefined ? [] : [wrapSentence(`      fix: ${fix}`, width, '           ')]),
  ].join('\n');
}
