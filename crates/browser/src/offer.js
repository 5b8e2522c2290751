// Makes a player for one codec, with a configuration of its connection, and hands over its offer. No candidates are waited for.
const [codec, configuration, done] = arguments;
const pc = makePlayer(codec, configuration);
pc.createOffer()
  .then(async offer => {
    await pc.setLocalDescription(offer);
    done(offer.sdp);
  })
  .catch(error => done(String(error)));
