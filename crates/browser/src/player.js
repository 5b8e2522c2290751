// Makes a player as clients of avatar sessions do. Notes what happens to it, with the page's own time.
function makePlayer(codec, configuration) {
  document.body.innerHTML = '<video id="video" autoplay playsinline></video>';
  const video = document.getElementById('video');
  const pc = (window.pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle', ...configuration }));
  const stream = new MediaStream();
  video.srcObject = stream;
  const transceiver = pc.addTransceiver('video', { direction: 'recvonly' });
  if (codec) {
    const wanted = RTCRtpReceiver.getCapabilities('video').codecs.filter(
      known => ['video/' + codec, 'video/rtx'].includes(known.mimeType),
    );
    transceiver.setCodecPreferences(wanted);
  }
  pc.addTransceiver('audio', { direction: 'recvonly' });
  pc.ontrack = ({ track }) => {
    stream.addTrack(track);
    video.play();
    if (track.kind === 'audio') {
      const audio = new AudioContext();
      const analyser = (window.analyser = audio.createAnalyser());
      analyser.fftSize = 32768;
      audio.createMediaStreamSource(new MediaStream([track])).connect(analyser);
      audio.resume();
    }
  };
  const events = (window.events = []);
  const note = (window.note = (what, value) => events.push({ what, value, at: performance.now() }));
  pc.onconnectionstatechange = () => note('connection', pc.connectionState);
  pc.onsignalingstatechange = () => {
    const transport = pc.getReceivers()[0].transport;
    if (transport) transport.onstatechange = () => note('transport', transport.state);
  };
  return pc;
}
