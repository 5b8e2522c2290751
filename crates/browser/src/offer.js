// Makes a player for one codec, and hands over its offer. No candidates are waited for.
const [codec, done] = arguments;
const pc = makePlayer(codec, {});
pc.createOffer()
  .then(async offer => {
    await pc.setLocalDescription(offer);
    done(offer.sdp);
  })
  .catch(error => done(String(error)));
