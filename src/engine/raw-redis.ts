import { connect } from 'node:net';

/** A server on the same machine answers within milliseconds, or is too busy to be asked about itself. */
const answerLimitMs = 2000;
/** INFO is a few kilobytes. */
const longestAnswer = 65_536;

/**
 * Send one command over a unix socket and give the text of its answer. For looking after our own server only: whether
 * it lives, its pid, SHUTDOWN. Everything that is stored goes through the store.
 * @throws Error when nobody listens, the answer is an error, or none comes within 2 s
 */
export function askRedis(socket: string, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const connection = connect(socket);
    let text = '';
    const end = (act: () => void) => {
      connection.destroy();
      act();
    };
    connection.setTimeout(answerLimitMs, () => end(() => reject(new Error(`no answer on ${socket}`))));
    connection.on('connect', () => connection.write(`${command}\r\n`));
    connection.on('error', (error) => end(() => reject(error)));
    connection.on('close', () => reject(new Error(`${socket} closed the connection`)));
    connection.on('data', (chunk) => {
      text += chunk.toString('latin1');
      const answer = readAnswer(text);
      if (answer instanceof Error) end(() => reject(answer));
      else if (answer !== undefined) end(() => resolve(answer));
    });
  });
}

/** Read one reply of Redis' protocol; undefined while it is incomplete. */
function readAnswer(text: string): string | Error | undefined {
  const lineEnd = text.indexOf('\r\n');
  if (text.length > longestAnswer) return new Error('the answer is too long');
  if (lineEnd < 0) return undefined;
  const line = text.slice(1, lineEnd);
  if (text.startsWith('-')) return new Error(line);
  if (!text.startsWith('$')) return line;
  const bodyEnd = lineEnd + 2 + Number(line);
  return text.length >= bodyEnd + 2 ? text.slice(lineEnd + 2, bodyEnd) : undefined;
}
