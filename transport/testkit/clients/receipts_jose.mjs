// Checks receipts with jose and nothing but the public key set, as a backend would.
//
// Arguments: ready line (JSON), {"set": path of the key set, "receipts": {name: receipt}} (JSON). Prints one JSON line:
// for each name the claims, or the code of the error. NODE_EXTRA_CA_CERTS names the server's authority.
import { createRequire } from "node:module";

const { createRemoteJWKSet, jwtVerify } = createRequire(process.env.AUTHEPY_CLIENTS + "/node/")("jose");
const [ready, asked] = process.argv.slice(2).map((text) => JSON.parse(text));
const keys = createRemoteJWKSet(new URL(`https://127.0.0.1:${ready.tcp.split(":").pop()}${asked.set}`));

async function judge(receipt) {
  try {
    return (await jwtVerify(receipt, keys, { audience: ready.project, issuer: "authepy" })).payload;
  } catch (refused) {
    return refused.code ?? String(refused);
  }
}

const verdicts = {};
for (const [name, receipt] of Object.entries(asked.receipts)) {
  verdicts[name] = await judge(receipt);
}
console.log(JSON.stringify(verdicts));
