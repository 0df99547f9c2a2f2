import type { Command } from 'commander';
import { type AddCommand, outputOption, type Start } from '../context.ts';
import { toJson } from '../table.ts';

/** Add `agent start|status|stop`, and the hidden `agent run` that the agent itself is. JSON of status: AgentState. */
export const addAgent: AddCommand = (program, start) => {
  const agent = program
    .command('agent')
    .description(
      'the worker in the background that carries runs on when the terminal closes (without redis.url)',
    );
  agent
    .command('start')
    .description('start it, if it does not run')
    .action((_options: unknown, command: Command) =>
      start(command, async ({ io, wire }) => {
        const { pid } = await (await wire.engine()).startAgent();
        io.say(`the agent runs as process ${pid}`);
        return 0;
      }),
    );
  addStatus(agent, start);
  agent
    .command('stop')
    .description('end it and its Redis; what it has begun on nodes is found out by the next one')
    .action((_options: unknown, command: Command) =>
      start(command, async ({ io, wire }) => {
        const stopped = await (await wire.engine()).stopAgent();
        io.say(stopped ? 'the agent is stopped' : 'no agent runs');
        const unfinished = stopped?.unfinished ?? 0;
        if (unfinished > 0)
          io.warn(`${unfinished} runs are unfinished: the next command starts the agent again`);
        return 0;
      }),
    );
  agent.command('run', { hidden: true }).action((_options: unknown, command: Command) =>
    start(command, async (context) => {
      const { beAgent } = await import('../labour.ts');
      await beAgent(context);
      return 0;
    }),
  );
};

function addStatus(agent: Command, start: Start): void {
  agent
    .command('status')
    .description('tell whether it runs')
    .addOption(outputOption())
    .action((_options: unknown, command: Command) =>
      start(command, async ({ globals, io, wire }) => {
        const state = await (await wire.engine()).agentState();
        const where = state.isRunning ? `runs as process ${state.pid}` : 'does not run';
        if (globals.output === 'json') io.data(toJson(state));
        else io.data(`the agent ${where}; records in ${state.stateDir}`);
        return 0;
      }),
    );
}
