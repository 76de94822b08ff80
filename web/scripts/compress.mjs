// Writes a .br and a .gz beside each built asset, as small as they get, so that the service need not compress.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'

const directory = new URL('../../app/dashboard/built/assets/', import.meta.url)
for (const name of readdirSync(directory).filter((name) => /\.(js|css|svg)$/.test(name))) {
  const bytes = readFileSync(new URL(name, directory))
  const options = { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } }
  writeFileSync(new URL(`${name}.br`, directory), brotliCompressSync(bytes, options))
  writeFileSync(new URL(`${name}.gz`, directory), gzipSync(bytes, { level: 9 }))
}
