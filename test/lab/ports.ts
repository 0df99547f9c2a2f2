import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { until } from './until.ts';

/** Both servers listen within a second; the rest is for a loaded machine. */
const listenSeconds = 20;

/** Wait until something listens; after 20 s throw with the end of the server's log. */
export async function portOpens(address: string, port: number, log: string): Promise<void> {
  try {
    await until(`${address}:${port} listens`, listenSeconds, () => canConnect(address, port));
  } catch (error) {
    throw new Error(
      `lab: nothing listens at ${address}:${port}\n${await readFile(log, 'utf8').catch(() => '')}`,
      { cause: error },
    );
  }
}

function canConnect(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, address);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
