import { Command, CommanderError } from 'commander';
import { CephflowError } from '../base/errors.ts';
import { allCommands } from './commands/all.ts';
import type { Start } from './context.ts';
import type { Globals } from './globals.ts';
import { createIo } from './io.ts';
import { reportError } from './report-error.ts';
import { createWire, readVersion } from './wire.ts';

process.exitCode = await main(process.argv);

/** Sockets kept alive by fetch or ssh must not hold a command that has said everything. */
process.stdout.write('', () => process.stderr.write('', () => process.exit()));

async function main(argv: readonly string[]): Promise<number> {
  let exitCode = 0;
  const start: Start = async (command, work) => {
    const globals = readGlobals(command);
    const io = createIo({ isQuiet: globals.quiet });
    const wire = createWire({ globals, io });
    try {
      exitCode = await work({ globals, io, wire });
    } catch (thrown) {
      exitCode = reportError(thrown, io, globals.verbose);
    } finally {
      await wire.close().catch((thrown: unknown) => reportError(thrown, io, globals.verbose));
    }
  };
  const program = createProgram(start);
  try {
    await program.parseAsync(argv);
  } catch (thrown) {
    exitCode = reportUsage(thrown, program, argv.slice(2));
  }
  return exitCode;
}

function readGlobals(command: Command): Globals {
  return { output: 'text', quiet: false, verbose: false, ...command.optsWithGlobals<Partial<Globals>>() };
}

function createProgram(start: Start): Command {
  const program = new Command('cephflow')
    .description('Automates hardware replacement for Ceph')
    .version(readVersion(), '-V, --version')
    .option('--cluster <name>', 'cluster of the config to work on')
    .option('--config <file>', 'config file to read instead of /etc/cephflow and your own')
    .option('-q, --quiet', 'no messages unless something fails')
    .option('-v, --verbose', 'also show every command that is run, and where an error came from')
    .exitOverride()
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
    .configureOutput({ outputError: () => undefined });
  for (const add of allCommands) add(program, start);
  return program;
}

/** Help and version are no mistakes; every other end of the parser is one of usage. */
function reportUsage(thrown: unknown, program: Command, argv: readonly string[]): number {
  const io = createIo({ isQuiet: false });
  if (!(thrown instanceof CommanderError)) return reportError(thrown, io, false);
  if (thrown.code === 'commander.helpDisplayed' || thrown.code === 'commander.version') return 0;
  // `cephflow` alone: the help was written already
  if (thrown.code === 'commander.help') return 64;
  const command = program.commands.find((one) => argv.includes(one.name()));
  const inner = command?.commands.find((one) => argv.includes(one.name()));
  const path = ['cephflow', ...[command, inner].flatMap((one) => one?.name() ?? [])].join(' ');
  const [said = '', ...guess] = thrown.message.replace(/^error: /, '').split('\n');
  const what = said.replace(/^missing required argument '(.*)'$/, `${path} needs <$1>`);
  const hint = [
    ...guess.map((line) => line.replace(/^\((.*)\)$/, '$1')),
    command ? `type ${path} --help` : 'type cephflow --help, or cephflow COMMAND --help',
  ];
  return reportError(new CephflowError('USAGE', what, { hint: hint.join('\n  ') }), io, false);
}
