import { CephflowError, task, text } from 'cephflow';

export default task({
  name: 'person.confirm',
  summary: 'Ask a person, and wait for the answer as long as it takes',
  risk: 'reads',
  params: { question: text('The question; approving means yes') },

  async done({ question }, { decision }) {
    if (decision?.verdict === 'approved') return true;
    if (decision?.verdict === 'rejected') {
      const why = decision.comment === '' ? '' : `: ${decision.comment}`;
      throw new CephflowError('REJECTED', `${decision.by} answered no to "${question}"${why}`, {
        hint: 'retry the step to ask again, or abort the run',
      });
    }
    return { waitingFor: `a person to answer: ${question}`, question };
  },
});
