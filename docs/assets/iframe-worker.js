// The search runs in a worker, and browsers start none for a page that was opened from disk. There, an iframe takes the
// worker's place: it loads the same script, and messages go to and fro as events. (The theme would load such a file from
// a CDN; it does not if a script of this name is present.)
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      this.inner = new Promise((resolve) => {
        frame.addEventListener("load", () => {
          const inner = frame.contentWindow
          const script = inner.document.createElement("script")
          inner.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }))
          script.addEventListener("load", () => resolve(inner))
          script.src = url
          inner.document.body.append(script)
        })
      })
      document.body.append(frame)
    }

    postMessage(data) {
      this.inner.then((inner) => inner.dispatchEvent(new MessageEvent("message", { data })))
    }
  }
}
