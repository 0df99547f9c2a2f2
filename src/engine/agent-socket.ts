import { rm } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { socketFolder } from './socket-folder.ts';

/** Tell how the agent is. `startedAs`: its start in clock ticks since boot; with the pid it names one process only. */
export interface AgentStatus {
  readonly pid: number;
  readonly startedAs: string | undefined;
  readonly state: 'starting' | 'working' | 'stopping';
  readonly unfinished: number;
  /** What its config names, once it works; absent before. */
  readonly serves?: AgentServes;
}

/** Tell what an agent works with: it keeps the config that it was started with. */
export interface AgentServes {
  /** Names of the clusters whose steps it takes. */
  readonly clusters: readonly string[];
  /** Config files it has read, in their order. */
  readonly files: readonly string[];
}

/** What an agent can be asked over its socket. */
export type AgentQuestion = 'status' | 'stop';

/** An agent that is not stuck answers within milliseconds. */
const answerLimitMs = 3000;

/**
 * Ask the agent of a state folder. It answers with its status; `stop` also makes it end.
 * @returns undefined where no agent listens
 */
export async function askAgent(stateDir: string, question: AgentQuestion): Promise<AgentStatus | undefined> {
  const socket = await agentSocket(stateDir);
  return new Promise((resolve) => {
    const connection = connect(socket);
    let text = '';
    connection.setTimeout(answerLimitMs, () => connection.destroy());
    connection.on('connect', () => connection.write(`${question}\n`));
    connection.on('data', (chunk) => {
      text += chunk;
    });
    connection.on('error', () => resolve(undefined));
    connection.on('close', () => resolve(readStatus(text)));
  });
}

function readStatus(text: string): AgentStatus | undefined {
  return text.endsWith('\n') ? (JSON.parse(text) as AgentStatus) : undefined;
}

/** Listen for questions. The caller holds the agent's lock: a socket file that is there is left from a dead one. */
export async function listenForQuestions(
  stateDir: string,
  answer: (question: AgentQuestion) => Promise<AgentStatus>,
): Promise<{ close(): Promise<void> }> {
  const socket = await agentSocket(stateDir);
  await rm(socket, { force: true });
  const server = createServer((connection) => {
    connection.setTimeout(answerLimitMs, () => connection.destroy());
    connection.on('error', () => connection.destroy());
    connection.once('data', (chunk) => {
      const question = chunk.toString().trim();
      if (question === 'status' || question === 'stop')
        void answer(question).then((status) => connection.end(`${JSON.stringify(status)}\n`));
      else connection.destroy();
    });
  });
  await listen(server, socket);
  return { close: () => new Promise((resolve) => server.close(() => resolve())) };
}

function listen(server: Server, socket: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(socket, resolve);
  });
}

async function agentSocket(stateDir: string): Promise<string> {
  return join(await socketFolder(stateDir), 'agent.sock');
}
