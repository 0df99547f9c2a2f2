import { contact, task, text } from 'cephflow';

export default task({
  name: 'notify.technicians',
  summary: 'Tell the technicians in the data centre what to do, by mail and webhook',
  risk: 'changes',
  isNeutral: true,
  params: {
    technicians: contact('Who is told'),
    subject: text('Subject of the mail'),
    message: text('What they should do'),
  },
  output: { channels: 'The ways by which it reached them, such as mail' },

  // no done: nobody can be asked whether a mail arrived. The key makes a repeat after a crash recognisable.
  async run({ technicians, subject, message }, { people, step }) {
    const footer = `-- \ncephflow run ${step.run} on cluster ${step.cluster}, started by ${step.by}`;
    const channels = await people.tell(technicians, {
      key: step.key,
      subject,
      text: `${message}\n\n${footer}\n`,
    });
    return { channels };
  },
});
