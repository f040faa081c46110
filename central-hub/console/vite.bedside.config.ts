import { defineConfig } from 'vite'

// The page of one bed, which the agent carries: the same sources, another beginning.
export default defineConfig({
  base: '/',
  build: {
    outDir: 'dist-bedside',
    target: 'es2023',
    modulePreload: false,
    assetsInlineLimit: 0,
    rollupOptions: { input: 'bedside.html' },
  },
})
