import { hostname, type NodeState, type NodeTarget, node, task } from 'cephflow';

export default task({
  name: 'node.add',
  summary: 'Put the host of a new node into the CRUSH map, beside another one',
  risk: 'changes',
  params: {
    name: hostname('CRUSH name of the new node'),
    beside: node('The node whose rack and root it shares'),
  },

  async done({ name, beside }, { ceph }) {
    const live = (await ceph.osdMap()).nodes.find((one) => one.name === name);
    if (!live) return { waitingFor: `host ${name} is not in the CRUSH map` };
    return (
      isBeside(live, beside) || {
        waitingFor: `host ${name} stands in ${placeOf(live)}, not in ${placeOf(beside)}`,
      }
    );
  },

  // moving a host that holds OSDs moves data: not what adding an empty one means
  async blockers({ name, beside }, { ceph }) {
    const live = (await ceph.osdMap()).nodes.find((one) => one.name === name);
    if (!live || live.osdIds.length === 0 || isBeside(live, beside)) return [];
    return [
      `host ${name} already stands in ${placeOf(live)} with ${live.osdIds.length} OSDs, and moving it would move data`,
    ];
  },

  async run({ name, beside }, { ceph }) {
    await ceph.placeNode(name, beside.location);
  },
});

type Placed = Pick<NodeState | NodeTarget, 'location'>;

const placeOf = ({ location }: Placed) =>
  location.map(({ type, name }) => `${type} ${name}`).join(' in ') || 'no root';

const isBeside = (live: Placed, other: Placed) => placeOf(live) === placeOf(other);
