// Tells by which pair of candidates the pictures come.
const done = arguments[arguments.length - 1];
pc.getStats()
  .then(reports => {
    const transport = [...reports.values()].find(report => report.type === 'transport');
    const pair = reports.get(transport?.selectedCandidatePairId);
    const local = reports.get(pair?.localCandidateId);
    done(local ? { kind: local.candidateType, protocol: local.relayProtocol } : null);
  })
  .catch(error => done({ error: String(error) }));
