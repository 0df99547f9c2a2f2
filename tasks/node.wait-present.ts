import { CephflowError, hostname, task } from 'cephflow';

export default task({
  name: 'node.wait-present',
  summary: 'Wait until a machine answers on ssh under its own name',
  risk: 'reads',
  params: { name: hostname('Host name of the machine') },
  poll: '15s',
  stall: '1h',

  // a new machine has no ssh, no key or another host key at first: that is a wait, and its reason says what to do
  async done({ name }, { machine }) {
    try {
      const answered = await machine(name).hostname();
      if (shortName(answered) === shortName(name)) return true;
      return { waitingFor: `the machine at ${name}'s address calls itself ${answered}` };
    } catch (error) {
      if (!(error instanceof CephflowError) || !error.code.startsWith('SSH_')) throw error;
      return { waitingFor: error.hint ? `${error.message} (${error.hint})` : error.message };
    }
  },
});

const shortName = (host: string) => host.split('.')[0];
