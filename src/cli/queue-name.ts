/** Match the name of a queue, as playbooks, the config and `cephflow worker --queue` write it. */
export const queueName = /^[a-z0-9-]{1,40}$/;
