// Runs a model in onnxruntime-web: node onnx_web.cjs MODEL REQUEST ANSWER
// REQUEST is a JSON list of feeds, each a list of {dims, data} in the order of the model's inputs;
// data are the bytes of float32 in base 64.
const fs = require("fs");
const ort = require("onnxruntime-web");

ort.env.wasm.numThreads = 1;

function floats(text) {
  const bytes = Buffer.from(text, "base64");
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}

async function main([model, request, answer]) {
  const session = await ort.InferenceSession.create(fs.readFileSync(model), {
    executionProviders: ["wasm"],
  });
  const answers = [];
  for (const tensors of JSON.parse(fs.readFileSync(request))) {
    const feeds = {};
    session.inputNames.forEach((name, i) => {
      feeds[name] = new ort.Tensor("float32", floats(tensors[i].data), tensors[i].dims);
    });
    const out = (await session.run(feeds))[session.outputNames[0]];
    answers.push({ dims: out.dims, data: Buffer.from(out.data.buffer, out.data.byteOffset, out.data.byteLength).toString("base64") });
  }
  fs.writeFileSync(answer, JSON.stringify(answers));
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
