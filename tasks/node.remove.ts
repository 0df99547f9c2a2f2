import { node, otherDaemons, task } from 'cephflow';

export default task({
  name: 'node.remove',
  summary: 'Remove the empty host of a node from the CRUSH map',
  risk: 'changes',
  params: { node: node('The node') },

  async outlook({ node }, { ceph }) {
    return { refusals: await otherDaemons(ceph, node), effects: [] };
  },

  async done({ node }, { ceph }) {
    const isThere = (await ceph.osdMap()).nodes.some((one) => one.name === node.name);
    return !isThere || { waitingFor: `host ${node.name} is in the CRUSH map` };
  },

  async blockers({ node }, { ceph }) {
    const left = (await ceph.osdMap()).nodes.find((one) => one.name === node.name)?.osdIds ?? [];
    const holds = left.map((id) => `host ${node.name} still holds osd.${id}`);
    return [...holds, ...(await otherDaemons(ceph, node))];
  },

  async run({ node }, { ceph }) {
    await ceph.removeNode(node);
  },
});
