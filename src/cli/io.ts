import { once } from 'node:events';
import { createInterface } from 'node:readline/promises';

/** Be the terminal of a command: data on stdout, messages on stderr. */
export interface Io {
  /** Write data to stdout, with a newline. */
  data(text: string): void;
  /** Write a message to stderr, unless the operator asked for quiet. */
  say(text: string): void;
  /** Write a message to stderr, also under -q. */
  warn(text: string): void;
  /** Columns of the terminal that data is shown on; undefined where it goes into a file or a pipe. */
  readonly dataWidth: number | undefined;
  /** The same for messages. */
  readonly sayWidth: number | undefined;
  /** Somebody sits there who can answer a question. */
  readonly canAsk: boolean;
  /** Ask a question on stderr; undefined when the input ends without an answer. */
  ask(question: string): Promise<string | undefined>;
}

/** Open the terminal of this process. A reader that goes away (`| head`) ends the command quietly. */
export function createIo({ isQuiet }: { readonly isQuiet: boolean }): Io {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0);
      throw error;
    });
  }
  return {
    data: (text) => void process.stdout.write(`${text}\n`),
    say: (text) => void (isQuiet || process.stderr.write(`${text}\n`)),
    warn: (text) => void process.stderr.write(`${text}\n`),
    get dataWidth() {
      return widthOf(process.stdout);
    },
    get sayWidth() {
      return widthOf(process.stderr);
    },
    canAsk: process.stdin.isTTY === true && process.stderr.isTTY === true,
    ask,
  };
}

/** Serial consoles say that they have 0 columns: nothing is fitted to those. */
function widthOf(stream: NodeJS.WriteStream): number | undefined {
  return stream.isTTY && stream.columns > 0 ? stream.columns : undefined;
}

async function ask(question: string): Promise<string | undefined> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const closed = once(lines, 'close').then(() => undefined);
  // ^C at a question is a no, not a detaching: nothing has begun
  lines.on('SIGINT', () => lines.close());
  const answer = await Promise.race([lines.question(question), closed]);
  lines.close();
  // the cursor still stands behind the question
  if (answer === undefined) process.stderr.write('\n');
  return answer;
}
