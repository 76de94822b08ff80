import { defineConfig } from 'vite'

// What is built is committed, and the service serves it: names are made of what is in the files, and nothing is inline,
// for the page's Content-Security-Policy allows neither scripts nor styles in the document.
export default defineConfig({
  build: {
    outDir: '../app/dashboard/built',
    emptyOutDir: true,
    target: 'es2022',
    cssCodeSplit: false,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  // `npm run dev` shows the sources as they are written, with the data of a service that runs.
  server: { proxy: { '/v1': process.env.MILEPOST_URL ?? 'http://127.0.0.1:8000' } },
})
