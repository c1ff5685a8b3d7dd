// The schemas of the collections: the items of the service, and two that the adapter uses.

const object = { type: 'object', additionalProperties: true };

/** RxDB wants texts as primary keys, so that `id` is the number of the item as a text. */
const item = (properties, ...required) => ({
    version: 0,
    type: 'object',
    primaryKey: 'id',
    properties: { id: { type: 'string', maxLength: 16 }, ...properties },
    required: ['id', ...required],
});

const name = { type: 'string', minLength: 1, maxLength: 300 };
const projects = item({ name, description: { type: 'string' } }, 'name');
const documents = item({ title: name, content: { type: 'string' }, project_id: { type: 'integer' } }, 'title');

/** Local writes that the service has not answered (status 0) or has refused (its status). */
const outbox = {
    version: 0,
    type: 'object',
    primaryKey: 'key',
    properties: {
        key: { type: 'string', maxLength: 100 },
        type: { type: 'string' },
        id: { type: 'string' },
        base: object,
        value: object,
        reservation: { type: 'string' },
        status: { type: 'integer' },
        error: { type: 'string' },
        reason: { type: 'string' },
        merge: object,
    },
    required: ['key', 'type', 'id', 'status'],
};

/** Ids to create items under while offline. The first `used` of them are taken. */
const reservations = {
    version: 0,
    type: 'object',
    primaryKey: 'key',
    properties: {
        key: { type: 'string', maxLength: 100 },
        type: { type: 'string' },
        ids: { type: 'array', items: { type: 'integer' } },
        used: { type: 'integer' },
        reservation: { type: 'string' },
        expires_at: { type: 'string' },
    },
    required: ['key', 'type', 'ids', 'used', 'reservation', 'expires_at'],
};

export const collections = {
    projects: { schema: projects },
    documents: { schema: documents },
    outbox: { schema: outbox },
    reservations: { schema: reservations },
};
