import { downtimeKey, duration, node, task } from 'cephflow';

export default task({
  name: 'monitoring.downtime',
  summary: 'Silence the alerts of a node while the run lives',
  risk: 'changes',
  params: {
    node: node('The node'),
    life: duration('How long it lasts unless renewed; renewed at every third of it', { default: '2h' }),
  },

  // a monitoring system that is absent or silent is better found before anything is changed
  async outlook(_, { monitoring, step }) {
    await monitoring.downtimes(step.key);
    return { refusals: [], effects: [] };
  },

  async done({ node }, { monitoring, step }) {
    const ours = await monitoring.downtimes(downtimeKey(step, node));
    return ours.some((one) => one.state === 'active') || { waitingFor: `no downtime covers ${node.name}` };
  },

  async run({ node, life }, { monitoring, step, nowMs }) {
    await monitoring.setDowntime(
      downtimeOf(node.name, life, { key: downtimeKey(step, node), run: step.run, nowMs }),
    );
  },

  hold: {
    life: 'life',

    async renew({ node, life }, { monitoring, step, nowMs, log }) {
      const key = downtimeKey(step, node);
      const ours = await monitoring.downtimes(key);
      // whoever ended it by hand wants to hear the alerts: not ours to silence again
      const wasEnded =
        ours.some((one) => one.state === 'ended') && !ours.some((one) => one.state === 'active');
      if (wasEnded) return log(`the downtime of ${node.name} was ended by somebody: not renewed`);
      await monitoring.setDowntime(downtimeOf(node.name, life, { key, run: step.run, nowMs }));
    },

    async release({ node }, { monitoring, step }) {
      await monitoring.endDowntime(downtimeKey(step, node));
    },
  },
});

function downtimeOf(node: string, lifeMs: number, about: { key: string; run: string; nowMs: number }) {
  return {
    key: about.key,
    node,
    comment: `cephflow run ${about.run}: hardware work on ${node}`,
    startsAt: new Date(about.nowMs),
    endsAt: new Date(about.nowMs + lifeMs),
  };
}
