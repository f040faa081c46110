import { defineConfig } from 'vite'

// No inline script, no preload polyfill, no data: assets: the page runs under `default-src 'none'` with Trusted Types.
export default defineConfig({
  base: '/',
  build: {
    target: 'es2023',
    modulePreload: false,
    assetsInlineLimit: 0,
    reportCompressedSize: true,
  },
})
