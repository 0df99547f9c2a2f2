import type { Command } from 'commander';
import { type AddCommand, needOptions } from '../context.ts';
import { freezeClusters, readScope, unfreezeClusters } from '../freezing.ts';
import { readReason } from '../reason.ts';

/** Add `freeze` and `unfreeze`, the big red button. The marker is in the cluster itself: neither needs Redis. */
export const addFreeze: AddCommand = (program, start) => {
  program
    .command('freeze')
    .description('let nothing new be acted on in the cluster, by any cephflow; works without Redis')
    .option('--reason <text>', 'why; shown by every step that waits for it (needed)')
    .option('--all', 'every cluster of the config', false)
    .action((options: { reason: string; all: boolean }, command: Command) =>
      start(command, async ({ globals, io, wire }) => {
        needOptions(command, ['reason']);
        const reason = readReason(options.reason);
        const scope = await readScope(wire, options.all, globals.cluster);
        const at = new Date(wire.nowMs()).toISOString();
        await freezeClusters(wire, io, scope, { by: wire.by(), host: wire.host, at, reason });
        return 0;
      }),
    );
  program
    .command('unfreeze')
    .description('let what waits for a freeze go on')
    .option('--all', 'every cluster of the config', false)
    .action((options: { all: boolean }, command: Command) =>
      start(command, async ({ globals, io, wire }) => {
        await unfreezeClusters(wire, io, await readScope(wire, options.all, globals.cluster));
        return 0;
      }),
    );
};
