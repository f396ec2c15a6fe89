// Stands for Prisma's native query engine 5.17.0, whose only source is a download site: the same engine as WASM, out of npm's
// @prisma/client, behind the HTTP and GraphQL interface that Prisma's Python client expects. It proves the wiring of a gateway with
// a database; it is not the engine that a server runs.
'use strict';
const COMMIT = '393aa359c9ad4a4bb28630fb5613f9c281cde053';
if (process.argv.includes('--version')) {
  console.log('query-engine ' + COMMIT);
  process.exit(0);
}
const http = require('http');
const fs = require('fs');
const path = require('path');
const { Pool } = require('pg');
const { PrismaPg } = require('@prisma/adapter-pg');
const { bindAdapter } = require('@prisma/driver-adapter-utils');
const { parse } = require('graphql');

// The WASM engine does not know the types of PostgreSQL's catalog, the native one does: they become text and bigint.
const Result = require('pg/lib/result');
const addFields = Result.prototype.addFields;
const KNOWN_AS = { 18: 25, 19: 25, 1003: 1009, 26: 20, 2205: 25, 2206: 25 };
Result.prototype.addFields = function (fields) {
  for (const field of fields) field.dataTypeID = KNOWN_AS[field.dataTypeID] || field.dataTypeID;
  return addFields.call(this, fields);
};

const runtime = path.join(path.dirname(require.resolve('@prisma/client/package.json')), 'runtime');
const background = require(path.join(runtime, 'query_engine_bg.postgresql.js'));
const module_ = new WebAssembly.Module(fs.readFileSync(path.join(runtime, 'query_engine_bg.postgresql.wasm')));
const instance = new WebAssembly.Instance(module_, { './query_engine_bg.js': background });
background.__wbg_set_wasm(instance.exports);

const port = Number(process.argv[process.argv.indexOf('-p') + 1]);
const overwritten = JSON.parse(process.env.OVERWRITE_DATASOURCES || '[]');
const url = new URL((overwritten[0] && overwritten[0].url) || process.env.DATABASE_URL);
const max = Number(url.searchParams.get('connection_limit') || 10);
// What is Prisma's own in the address; PostgreSQL refuses it.
url.search = '';
const datamodel = fs
  .readFileSync(process.env.PRISMA_DML_PATH, 'utf8')
  .replace(/binaryTargets\s*=.*\n/, '')
  .replace(/(generator\s+\w+\s*\{)/, '$1\n  previewFeatures = ["driverAdapters"]');
const adapter = bindAdapter(new PrismaPg(new Pool({ connectionString: url.toString(), max })));
const engine = new background.QueryEngine({ datamodel, logLevel: 'error', logQueries: false }, () => {}, adapter);

// GraphQL gives a Json column as text, the JSON protocol of the WASM engine wants it tagged.
const jsonFields = {};
{
  let fields;
  for (const line of datamodel.split('\n')) {
    const model = line.match(/^model (\w+)/);
    const field = line.match(/^\s+(\w+)\s+Json\b/);
    if (model) jsonFields[model[1]] = fields = new Set();
    else if (field && fields) fields.add(field[1]);
  }
}

function tagged(fields, value) {
  if (Array.isArray(value)) return value.map((each) => tagged(fields, each));
  if (!value || typeof value !== 'object' || value.$type) return value;
  const tag = (key, each) => (fields.has(key) && typeof each === 'string' ? { $type: 'Json', value: each } : tagged(fields, each));
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, tag(key, each)]));
}

function valueOf(node) {
  switch (node.kind) {
    case 'StringValue':
    case 'BooleanValue':
      return node.value;
    case 'IntValue': {
      const number = Number(node.value);
      return Number.isSafeInteger(number) ? number : { $type: 'BigInt', value: node.value };
    }
    case 'FloatValue':
      return Number(node.value);
    case 'NullValue':
      return null;
    case 'EnumValue':
      return { $type: 'Enum', value: node.value };
    case 'ListValue':
      return node.values.map(valueOf);
    case 'ObjectValue':
      return Object.fromEntries(node.fields.map((field) => [field.name.value, valueOf(field.value)]));
    default:
      throw new Error(node.kind);
  }
}

const argumentsOf = (list) => Object.fromEntries((list || []).map((each) => [each.name.value, valueOf(each.value)]));

function selectionOf(set) {
  const deep = (field) => field.selectionSet || (field.arguments || []).length;
  const each = (field) => (deep(field) ? { arguments: argumentsOf(field.arguments), selection: selectionOf(field.selectionSet) } : true);
  return Object.fromEntries((set ? set.selections : []).map((field) => [field.name.value, each(field)]));
}

const ACTIONS = [
  'findUniqueOrThrow', 'findFirstOrThrow', 'findUnique', 'findFirst', 'findMany', 'createManyAndReturn', 'createOne', 'createMany',
  'updateOne', 'updateMany', 'deleteOne', 'deleteMany', 'upsertOne', 'aggregate', 'groupBy', 'executeRaw', 'queryRaw',
];

function translated(graphql) {
  const field = parse(graphql).definitions[0].selectionSet.selections[0];
  const name = field.name.value;
  const action = ACTIONS.find((each) => name.startsWith(each));
  if (!action) throw new Error('unknown operation ' + name);
  const query = { action, query: { arguments: argumentsOf(field.arguments), selection: selectionOf(field.selectionSet) } };
  if (name.length > action.length) {
    query.modelName = name.slice(action.length);
    query.query.arguments = tagged(jsonFields[query.modelName] || new Set(), query.query.arguments);
  }
  return { query, name, alias: field.alias ? field.alias.value : name };
}

function plain(value) {
  if (Array.isArray(value)) return value.map(plain);
  if (!value || typeof value !== 'object') return value;
  return '$type' in value ? value.value : Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each)]));
}

// In raw rows the native engine gives JSON columns parsed, the adapter gives text.
function parsed(type, value) {
  if (type === 'json' && typeof value === 'string') return JSON.parse(value);
  return type === 'json-array' && Array.isArray(value) ? value.map((each) => parsed('json', each)) : value;
}
const raw = (value) =>
  value && value.columns ? { ...value, rows: value.rows.map((row) => row.map((each, index) => parsed(value.types[index], each))) } : value;

function renamed(result, asked) {
  if (!result.data) return result;
  const data = result.data[asked.name] !== undefined ? result.data[asked.name] : Object.values(result.data)[0];
  return { ...result, data: { [asked.alias]: asked.query.action.endsWith('Raw') ? raw(data) : plain(data) } };
}

async function answer(request, body) {
  const transaction = request.headers['x-transaction-id'] || null;
  if (request.method === 'GET' && request.url === '/status') return { status: 'ok' };
  if (request.url.startsWith('/metrics')) return {};
  if (request.url === '/transaction/start') return JSON.parse(await engine.startTransaction(body, '{}'));
  const ended = request.url.match(/^\/transaction\/([^/]+)\/(commit|rollback)$/);
  if (ended) return JSON.parse(await engine[ended[2] + 'Transaction'](ended[1], '{}'));
  const asked = JSON.parse(body);
  if (!asked.batch) {
    const one = translated(asked.query);
    return renamed(JSON.parse(await engine.query(JSON.stringify(one.query), '{}', transaction)), one);
  }
  const all = asked.batch.map((each) => translated(each.query));
  const batch = JSON.stringify({ batch: all.map((each) => each.query), transaction: asked.transaction ? {} : null });
  const result = JSON.parse(await engine.query(batch, '{}', transaction));
  return result.batchResult ? { ...result, batchResult: result.batchResult.map((each, index) => renamed(each, all[index])) } : result;
}

async function main() {
  await engine.connect('{}');
  const server = http.createServer((request, response) => {
    let body = '';
    request.on('data', (piece) => (body += piece));
    request.on('end', async () => {
      try {
        const text = JSON.stringify(await answer(request, body));
        response.setHeader('content-type', 'application/json');
        response.end(text);
      } catch (error) {
        console.error(request.url, body.slice(0, 2000), error.stack || String(error));
        response.statusCode = 500;
        response.end(JSON.stringify({ error: String(error) }));
      }
    });
  });
  server.listen(port, 'localhost');
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0));
}

main();
