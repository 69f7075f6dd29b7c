(async () => {
  if (!window.settled) {
    throw new Error('the script of the page did not run');
  }
  await window.settled;
  // The text takes room, nothing above it hides it, and what is at its place in the window is the element it is in.
  const isVisible = text => {
    const element = text.parentElement;
    element.scrollIntoView();
    const range = document.createRange();
    range.selectNodeContents(text);
    const [box] = range.getClientRects();
    return (
      box?.width > 0 &&
      box.height > 0 &&
      element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) &&
      element === document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2)
    );
  };
  const textsOf = element => {
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    const texts = [];
    while (walker.nextNode()) {
      texts.push(walker.currentNode);
    }
    return texts.filter(isVisible).map(text => ({ text: text.data, padding: getComputedStyle(text.parentElement).paddingTop }));
  };
  return [...document.querySelectorAll('[data-package]')].map(element => ({ ...element.dataset, texts: textsOf(element) }));
})();
