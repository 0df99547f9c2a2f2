import { downtimeKey, node, task } from 'cephflow';

export default task({
  name: 'monitoring.end-downtime',
  summary: 'End the downtime that this run holds on a node before the run ends',
  risk: 'changes',
  isNeutral: true,
  params: { node: node('The node') },

  async done({ node }, { monitoring, step }) {
    const ours = await monitoring.downtimes(downtimeKey(step, node));
    return !ours.some((one) => one.state === 'active') || { waitingFor: `a downtime covers ${node.name}` };
  },

  async run({ node }, { monitoring, step }) {
    await monitoring.endDowntime(downtimeKey(step, node));
  },
});
