// Plays the stream at an address (WHEP). Hands over what it was answered.
const [address, configuration, done] = arguments;
(async () => {
  const pc = makePlayer(null, configuration);
  const offer = await pc.createOffer();
  await pc.setLocalDescription(offer);
  const headers = { 'Content-Type': 'application/sdp' };
  const answer = await fetch(address, { method: 'POST', headers, body: offer.sdp });
  if (answer.status !== 201) {
    pc.close();
    return done({ status: answer.status });
  }
  await pc.setRemoteDescription({ type: 'answer', sdp: await answer.text() });
  done({ status: answer.status, location: answer.headers.get('Location') });
})().catch(error => done({ error: String(error) }));
