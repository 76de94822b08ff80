// Writes src/openapi.ts, the types of the wire, from the committed OpenAPI document; what only explains is left out.
import { readFileSync, writeFileSync } from 'node:fs'
import openapiTS, { astToString } from 'openapi-typescript'

const EXPLAINS = ['description', 'summary', 'title', 'example', 'examples', 'externalDocs']

function bare(value, isNames = false) {
  if (Array.isArray(value)) return value.map((item) => bare(item))
  if (value === null || typeof value !== 'object') return value
  const kept = Object.entries(value).filter(([name, inner]) => isNames || !EXPLAINS.includes(name) || typeof inner === 'boolean')
  return Object.fromEntries(kept.map(([name, inner]) => [name, bare(inner, !isNames && name === 'properties')]))
}

const document = bare(JSON.parse(readFileSync(new URL('../../docs/openapi.json', import.meta.url), 'utf8')))
for (const methods of Object.values(document.paths)) {
  for (const operation of Object.values(methods)) {
    for (const response of Object.values(operation.responses ?? {})) response.description = ''
  }
}
const text = astToString(await openapiTS(document, { alphabetize: true, defaultNonNullable: false }))
const spare = text.replace(/^\s*\/\*\*.*?\*\/\n/gms, '')
writeFileSync(process.argv[2] ?? new URL('../src/openapi.ts', import.meta.url), `// Made from docs/openapi.json by \`npm run types\`.\n\n${spare}`)
